// data/group_sizes: DataError, or offsets that begin at 0, never fall and end at the sum of the lines.
#include <sstream>

#include "core/error.h"
#include "data/group_sizes.h"
#include "tests/fuzz/memory_bound.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace winnow;
  const std::string text(reinterpret_cast<const char*>(data), size);
  std::vector<int64_t> offsets;
  try {
    const MemoryBound bound(size);
    offsets = parse_group_sizes(text, "fuzz.query");
  } catch (const DataError&) { return 0; }
  expect(offsets.front() == 0 && offsets.back() < int64_t{1} << 31, "within the limit");
  std::istringstream words(text);
  size_t at = 0;
  for (int64_t n = 0; words >> n; ++at)
    expect(at + 1 < offsets.size() && offsets[at + 1] - offsets[at] == n, "each size as it is written");
  expect(at + 1 == offsets.size(), "as many queries as sizes");
  return 0;
}
