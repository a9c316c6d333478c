// serve/store/json_event.h over any text: DataError, or events that hold every rule and read back from what is printed.
// The first byte chooses between a body, a line, and a line with a sequence.
#include <memory>

#include "core/error.h"
#include "serve/store/json_event.h"
#include "tests/fuzz/memory_bound.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace winnow;
  if (size == 0) return 0;
  const size_t text_bytes = size - 1;
  const std::unique_ptr<char[]> text(new char[text_bytes]);  // the exact size, so that a read past the end is seen
  std::copy(data + 1, data + size, text.get());
  std::vector<UserEvent> events;
  try {
    const MemoryBound bound(text_bytes);
    if (data[0] % 3 == 0)
      events = parse_events({text.get(), text_bytes}, "body");
    else
      events = {parse_event({text.get(), text_bytes}, "line", data[0] % 3 == 2)};
  } catch (const DataError& error) {
    const std::string what = error.what();
    expect(what.starts_with("body: ") || what.starts_with("line: "), "an error says where");
    return 0;
  }
  expect(!events.empty() && events.size() <= kMaxJsonEvents, "between one event and the most");
  for (const UserEvent& event : events) {
    check_event(event, "event");
    expect(event.sequence == 0 || data[0] % 3 == 2, "no sequence unless asked for");
    expect(parse_event(event_json(event), "printed", true) == event, "what is printed reads back");
  }
  return 0;
}
