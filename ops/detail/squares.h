// Sums of squares and of magnitudes over fixed blocks: partial sums in float lanes, their sum in double.
#pragma once
#include <cmath>
#include <cstdint>

#include "core/parallel.h"

namespace winnow {

inline constexpr int64_t kSumBlock = 8192, kSumChunk = 512;

inline int64_t sum_blocks(int64_t n) { return (n + kSumBlock - 1) / kSumBlock; }

// f(x) summed over n elements of one block.
template <class F>
double chunked_sum(const float* x, int64_t n, F&& f) {
  double total = 0;
  for (int64_t at = 0; at < n; at += kSumChunk) {
    float sum = 0;
    const int64_t end = std::min(n, at + kSumChunk);
#pragma omp simd reduction(+ : sum)
    for (int64_t j = at; j < end; ++j) sum += f(x[j]);
    total += static_cast<double>(sum);
  }
  return total;
}

// Writes the sum of each block of x to partial[0 .. sum_blocks(n)).
template <class F>
void block_sums(const float* x, int64_t n, double* partial, F&& f) {
  parallel_for(sum_blocks(n), 8, [&](int64_t begin, int64_t end) {
    for (int64_t q = begin; q < end; ++q)
      partial[q] = chunked_sum(x + q * kSumBlock, std::min(kSumBlock, n - q * kSumBlock), f);
  });
}

}  // namespace winnow
