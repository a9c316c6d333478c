// Compiled once per instruction set, under the rule of sgemm_kernels.cpp.
#include "core/cpu/vector_kernels.h"

#include "core/cpu/isa/sgemm_vector.h"
#include "core/cpu/isa/vector_bytes.h"

namespace winnow::cpu {
namespace {

constexpr int kRows = 4;                  // whose products run side by side
constexpr int kChains = W == 16 ? 1 : 2;  // of each: with AVX2 two multiply-adds start in a cycle
constexpr int64_t kLine = 64;

WN_INLINE void fetch(const void* at, int64_t bytes) {
  for (int64_t i = 0; i < bytes; i += kLine) _mm_prefetch(static_cast<const char*>(at) + i, _MM_HINT_T0);
}

// out[q][r] = queries[q] . rows[r], r < 4; all sums in one order, for any Q.
template <int Q>
WN_INLINE void dot4(const float* const (&queries)[Q], const float* const (&rows)[kRows], int64_t d,
                    float* const (&out)[Q]) {
  V c[Q][kRows][kChains];
  unrolled<Q * kRows * kChains>(
      [&](auto i) WN_INLINE_LAMBDA { c[i.v / (kRows * kChains)][i.v / kChains % kRows][i.v % kChains] = set1(0); });
  int64_t k = 0;
  for (; k + W * kChains <= d; k += W * kChains)
    unrolled<kChains>([&](auto j) WN_INLINE_LAMBDA {
      V x[Q];
      unrolled<Q>([&](auto q) WN_INLINE_LAMBDA { x[q.v] = load(queries[q.v] + k + j.v * W); });
      unrolled<kRows>([&](auto r) WN_INLINE_LAMBDA {
        const V y = load(rows[r.v] + k + j.v * W);
        unrolled<Q>([&](auto q) WN_INLINE_LAMBDA { fma_to(c[q.v][r.v][j.v], x[q.v], y); });
      });
    });
  for (; k < d; k += W) {
    const int left = d - k < W ? static_cast<int>(d - k) : W;
    unrolled<kRows>([&](auto r) WN_INLINE_LAMBDA {
      const V y = load_first(rows[r.v] + k, left);
      unrolled<Q>([&](auto q) WN_INLINE_LAMBDA { fma_to(c[q.v][r.v][0], load_first(queries[q.v] + k, left), y); });
    });
  }
  unrolled<Q>([&](auto q) WN_INLINE_LAMBDA {
    __m256 s[kRows];
    unrolled<kRows>([&](auto r) WN_INLINE_LAMBDA {
      if constexpr (kChains == 2) c[q.v][r.v][0] = add(c[q.v][r.v][0], c[q.v][r.v][kChains - 1]);
      s[r.v] = fold(c[q.v][r.v][0]);
    });
    const __m256 sum = _mm256_hadd_ps(_mm256_hadd_ps(s[0], s[1]), _mm256_hadd_ps(s[2], s[3]));
    _mm_storeu_ps(out[q.v], _mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps(sum, 1)));
  });
}

// Rows past the last repeat it, so that every sum is that of dot4.
void dots(const float* q, const float* const* rows, int64_t n, int64_t d, int64_t ahead, float* out) {
  for (int64_t i = 0; i < n && i < ahead; ++i) fetch(rows[i], d * 4);
  for (int64_t i = 0; i < n; i += kRows) {
    for (int64_t r = i + ahead; ahead > 0 && r < n && r < i + ahead + kRows; ++r) fetch(rows[r], d * 4);
    const int64_t last = n - 1;
    const float* const four[kRows] = {rows[i], rows[i + 1 < last ? i + 1 : last], rows[i + 2 < last ? i + 2 : last],
                                      rows[i + 3 < last ? i + 3 : last]};
    float sum[kRows];
    dot4<1>({q}, four, d, {sum});
    for (int64_t r = i; r < n && r < i + kRows; ++r) out[r] = sum[r - i];
  }
}

template <int Q>
void scan_of(const float* const (&q)[Q], const float* rows, int n, int64_t d, const float* threshold, int64_t ahead,
             float* out, uint64_t* above) {
  for (int i = 0; i < n; i += kRows) {
    if (ahead > 0) fetch(rows + i * d + ahead, kRows * d * 4);
    const float* const four[kRows] = {rows + i * d, rows + (i + 1 < n ? i + 1 : n - 1) * d,
                                      rows + (i + 2 < n ? i + 2 : n - 1) * d, rows + (i + 3 < n ? i + 3 : n - 1) * d};
    if constexpr (Q == 2)
      dot4<2>(q, four, d, {out + i, out + kScanRows + i});
    else
      dot4<1>(q, four, d, {out + i});
  }
  for (int j = 0; j < Q; ++j) {
    above[j] = 0;
    for (int i = 0; i < n; ++i) above[j] |= static_cast<uint64_t>(out[j * kScanRows + i] > threshold[j]) << i;
  }
}
uint64_t scan(const float* q, const float* rows, int n, int64_t d, float threshold, int64_t ahead, float* out) {
  uint64_t above;
  scan_of<1>({q}, rows, n, d, &threshold, ahead, out, &above);
  return above;
}
// Two queries side by side load fewer numbers a product; eight accumulators each are too many for AVX2.
void scan_two(const float* q, const float* rows, int n, int64_t d, const float* threshold, int64_t ahead, float* out,
              uint64_t* above) {
  if constexpr (W == 16) {
    scan_of<2>({q, q + d}, rows, n, d, threshold, ahead, out, above);
  } else {
    scan_of<1>({q}, rows, n, d, threshold, ahead, out, above);
    scan_of<1>({q + d}, rows, n, d, threshold + 1, 0, out + kScanRows, above + 1);
  }
}

template <class Bytes>
constexpr VectorKernels kernels_of(int most_code) {
  return {dots, scan, scan_two, most_code, kCodeRows, kCodePanel, scan_codes<Bytes>, tile_codes<Bytes>};
}

}  // namespace

#if defined(WINNOW_ISA_avx512)
const VectorKernels* vector_kernels_avx512() {
  static constexpr VectorKernels kernels = kernels_of<Pairs>(63);
  return &kernels;
}
const VectorKernels* vector_kernels_vnni() {
  static constexpr VectorKernels kernels = kernels_of<Fours>(127);
  return &kernels;
}
#else
const VectorKernels* vector_kernels_avx2() {
  static constexpr VectorKernels kernels = kernels_of<Pairs>(63);
  return &kernels;
}
#endif

}  // namespace winnow::cpu
