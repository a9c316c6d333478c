// A parallel loop over elements in blocks of a fixed size: an element's place in the vectorised loop, and with it its
// bits, does not depend on the number of threads.
#pragma once
#include "core/parallel.h"
#include "ops/detail/grain.h"

namespace winnow::detail {

inline constexpr int64_t kBlockElements = 4096;  // 16 KiB of floats

// f(begin, end) for each block.
template <class F>
void for_blocks(int64_t n, F&& f) {
  const int64_t blocks = (n + kBlockElements - 1) / kBlockElements;
  parallel_for(blocks, grain(kBlockElements), [&](int64_t first, int64_t last) {
    for (int64_t b = first; b < last; ++b) f(b * kBlockElements, std::min(n, (b + 1) * kBlockElements));
  });
}

}  // namespace winnow::detail
