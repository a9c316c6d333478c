// serve/retrieval/npy.h over any bytes: IoError or as many numbers as the data has.
#include "core/error.h"
#include "serve/retrieval/npy.h"
#include "tests/fuzz/memory_bound.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace winnow;
  try {
    const MemoryBound bound(size);
    const Tensor t = parse_npy({reinterpret_cast<const std::byte*>(data), size}, "fuzzed");
    expect(t.shape().rank() == 2 && t.bytes() <= size, "rows and width, no more than there is");
  } catch (const IoError&) {  // refused
  }
  return 0;
}
