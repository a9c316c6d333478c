// data/csv.h over any text: DataError or rows as wide as the header. The first byte chooses the options.
#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "core/error.h"
#include "data/csv.h"
#include "tests/fuzz/memory_bound.h"

namespace winnow {
namespace {

volatile uint32_t sink;

void read_all(CsvReader& reader, size_t size) {
  const size_t looked_up = std::min(reader.header().size(), size_t{100});  // a look-up walks the header
  for (const std::string& name : std::span(reader.header()).first(looked_up))
    expect(reader.header()[reader.column(name)] == name, "column() finds");
  int64_t rows = 0, line = 1;
  size_t position = reader.position();
  while (reader.next()) {
    expect(reader.cells().size() == reader.header().size(), "rows are as wide as the header");
    expect(reader.line() > line, "rows begin on later lines");
    expect(reader.position() > position && reader.position() <= size, "rows advance within the text");
    line = reader.line();
    position = reader.position();
    ++rows;
    uint32_t sum = 0;
    for (const std::string_view cell : reader.cells())
      for (const char c : cell) sum += static_cast<unsigned char>(c);
    sink = sum;
  }
  expect(reader.rows() == rows, "rows() counts the rows");
}

}  // namespace
}  // namespace winnow

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace winnow;
  if (size == 0) return 0;
  const CsvOptions options{.separator = (data[0] & 1) != 0   ? '\t'
                                        : (data[0] & 8) != 0 ? static_cast<char>(data[0])
                                                             : ',',
                           .quoting = (data[0] & 2) == 0,
                           .strip_types = (data[0] & 4) != 0};
  const size_t text_bytes = size - 1;
  const std::unique_ptr<char[]> text(new char[text_bytes]);  // the exact size, so that a read past the end is seen
  std::copy(data + 1, data + size, text.get());
  try {
    const MemoryBound bound(text_bytes);
    CsvReader reader("fuzzed", {text.get(), text_bytes}, options);
    read_all(reader, text_bytes);
  } catch (const DataError&) {
  } catch (const ConfigError&) {}
  return 0;
}
