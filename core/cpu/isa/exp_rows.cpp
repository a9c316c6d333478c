// Compiled once per instruction set, under the rule of sgemm_kernels.cpp.
#include "core/cpu/exp_rows.h"

#include "core/cpu/isa/sgemm_activations.h"

namespace winnow::cpu {
namespace {

constexpr int64_t kChunk = 1024;  // elements whose sum is taken in float

WN_INLINE V exp_or_zero(V x) { return where_gt(set1(-87.33f), x, set1(0), vexp(x)); }

float largest(int64_t n, const float* x) {
  V a = set1(x[0]), b = a, c = a, d = a;
  int64_t i = 0;
  for (; i + 4 * W <= n; i += 4 * W) {
    a = max(a, load(x + i)), b = max(b, load(x + i + W));
    c = max(c, load(x + i + 2 * W)), d = max(d, load(x + i + 3 * W));
  }
  alignas(64) float lane[W];
  store(lane, max(max(a, b), max(c, d)));
  float most = x[0];
  for (int k = 0; k < W; ++k) most = lane[k] > most ? lane[k] : most;
  for (; i < n; ++i) most = x[i] > most ? x[i] : most;
  return most;
}

template <bool kStore>
double exp_sum_of(int64_t n, const float* x, float shift, float* e) {
  const V by = set1(-shift);
  double total = 0;
  for (int64_t first = 0; first < n; first += kChunk) {
    const int64_t end = n - first < kChunk ? n : first + kChunk;
    V sum[2] = {set1(0), set1(0)};
    int64_t i = first;
    for (; i + 2 * W <= end; i += 2 * W)
      unrolled<2>([&](auto u) WN_INLINE_LAMBDA {
        const V y = exp_or_zero(add(load(x + i + u.v * W), by));
        sum[u.v] = add(sum[u.v], y);
        if constexpr (kStore) store(e + i + u.v * W, y);
      });
    for (; i < end; i += W) {
      const int left = end - i < W ? static_cast<int>(end - i) : W;
      alignas(64) float lane[W];
      store(lane, exp_or_zero(add(load_first(x + i, left), by)));
      const V y = load_first(lane, left);
      sum[0] = add(sum[0], y);
      if constexpr (kStore) store_first(e + i, y, left);
    }
    total += static_cast<double>(lane_sum(add(sum[0], sum[1])));
  }
  return total;
}
double exp_sum(int64_t n, const float* x, float shift, float* e) {
  return e == nullptr ? exp_sum_of<false>(n, x, shift, e) : exp_sum_of<true>(n, x, shift, e);
}

}  // namespace

#if defined(WINNOW_ISA_avx512)
const ExpRowKernels* exp_row_kernels_avx512() {
#else
const ExpRowKernels* exp_row_kernels_avx2() {
#endif
  static const ExpRowKernels kernels = {largest, exp_sum};
  return &kernels;
}

}  // namespace winnow::cpu
