// Sums of per-block partial results in block order: the second half of a deterministic reduction over rows.
#pragma once
#include "core/parallel.h"
#include "ops/detail/grain.h"

namespace winnow::detail {

// out[j] = sum over blocks of partial[b * stride + j], j < width.
template <class T>
void add_blocks(const T* partial, int64_t blocks, int64_t stride, int64_t width, T* out) {
  parallel_for(width, grain(blocks), [&](int64_t begin, int64_t end) {
    std::fill(out + begin, out + end, T(0));
    for (int64_t b = 0; b < blocks; ++b)
      for (int64_t j = begin; j < end; ++j) out[j] += partial[b * stride + j];
  });
}

}  // namespace winnow::detail
