// data/image.h over any bytes: DataError, or floats in [0, 1]. The first byte chooses the size.
#include <span>
#include <string>
#include <vector>

#include "core/error.h"
#include "data/image.h"
#include "tests/fuzz/memory_bound.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace winnow;
  if (size == 0) return 0;
  const int64_t side = 1 + data[0] % 32;
  std::vector<float> out;
  try {
    const MemoryBound bound(size);
    // so few pixels that the rows of a PNG file and the coefficients of a progressive JPEG file fit the bound
    decode_image(std::as_bytes(std::span(data + 1, size - 1)), side, "fuzzed", out, 1 << 14);
  } catch (const DataError&) {
    expect(out.empty(), "nothing is appended on failure");
    return 0;
  }
  expect(static_cast<int64_t>(out.size()) == 3 * side * side, "size x size x 3 floats");
  for (const float x : out) expect(x >= 0 && x <= 1, "floats in [0, 1]");
  return 0;
}
