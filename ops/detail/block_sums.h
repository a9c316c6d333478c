// Sums of per-block partial results in block order: the second half of a deterministic reduction over rows.
#pragma once
#include <array>

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

// Elements that rows_with_sums needs for `sums` sums of n columns.
inline int64_t partial_sums(int64_t rows, int sums, int64_t n) { return row_blocks(rows) * sums * n; }

// body(row, partial) over all rows; partial are the zeroed [kSums, n] sums of the row's block, added to out[..].
template <int kSums, class T, class F>
void rows_with_sums(int64_t rows, int64_t n, T* partial, const std::array<T*, kSums>& out, F&& body) {
  const int64_t blocks = row_blocks(rows), each = rows_per_block(rows), width = kSums * n;
  parallel_for(blocks, grain(each * n), [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      std::fill(partial + b * width, partial + (b + 1) * width, T(0));
      for (int64_t r = b * each; r < std::min(rows, (b + 1) * each); ++r) body(r, partial + b * width);
    }
  });
  for (int k = 0; k < kSums; ++k) add_blocks(partial + k * n, blocks, width, n, out[static_cast<size_t>(k)]);
}

}  // namespace winnow::detail
