// Dropout inside an operator that works row by row, with the masks of ops/dropout.h: attributes p, seed and stream, and
// the step as the node's last input where p > 0.
#pragma once
#include "core/op.h"
#include "ops/detail/dropout_bits.h"

namespace winnow::detail {

// Checks the attributes, and the step where there are as many inputs; returns whether there is one.
inline bool check_drop(Infer& i, int step) {
  const Attrs& a = i.attrs();
  const double p = a.number("p");
  i.check(p >= 0 && p < 1, "p = {} is not in [0, 1)", p);
  if (p == 0) return false;
  a.integer("seed");
  a.integer("stream");
  i.check(i.inputs() == step + 1, "expected {} inputs with dropout, got {}", step + 1, i.inputs());
  i.expect_dtype(step, {DType::I64});
  i.expect_rank(step, 0);
  return true;
}

// f(j, count, bits) over pieces of the row of n elements from element `first` on: each lies in one group of bits.
template <class F>
void each_group(const RowDropout& d, uint64_t step, int64_t first, int64_t n, F&& f) {
  alignas(32) uint16_t bits[2 * kBitsGroup] = {};  // twice: g++ 12 cannot see that skip + count <= kBitsGroup
  for (int64_t j = 0; j < n;) {
    const int64_t at = first + j, skip = at % kBitsGroup, count = std::min(kBitsGroup - skip, n - j);
    dropout_bits_of_group(d.philox, step, at / kBitsGroup, bits);
    f(j, count, bits + skip);
    j += count;
  }
}

// y = drop(x) for the row from element `first` on.
template <class T>
void drop_row(const RowDropout& d, uint64_t step, int64_t first, int64_t n, const T* x, T* y) {
  each_group(
      d, step, first, n,
      [&, threshold = d.threshold, scale = static_cast<T>(d.scale)](int64_t j0, int64_t m, const uint16_t* bits) {
#pragma omp simd
        for (int64_t j = 0; j < m; ++j) {
          const T kept = x[j0 + j] * scale;
          y[j0 + j] = static_cast<int32_t>(bits[j]) < threshold ? T(0) : kept;
        }
      });
}

}  // namespace winnow::detail
