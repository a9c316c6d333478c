// Vectors of the sgemm kernels: 16 lanes with AVX-512, else 8. Included only by core/cpu/isa/sgemm_kernels.cpp.
// min and max return b when either is NaN.
#pragma once
#include <immintrin.h>

#include <cstddef>

#define WN_INLINE static inline __attribute__((always_inline))
#define WN_INLINE_LAMBDA __attribute__((always_inline))

namespace winnow::cpu {
namespace {

using std::size_t;

#if defined(WINNOW_ISA_avx512)
constexpr int W = 16;
using V = __m512;
WN_INLINE V set1(float x) { return _mm512_set1_ps(x); }
WN_INLINE V load(const float* p) { return _mm512_loadu_ps(p); }
WN_INLINE void store(float* p, V v) { _mm512_storeu_ps(p, v); }
WN_INLINE __mmask16 lanes(int n) { return static_cast<__mmask16>(n <= 0 ? 0u : n >= 16 ? 0xffffu : (1u << n) - 1u); }
WN_INLINE V load_first(const float* p, int n) { return _mm512_maskz_loadu_ps(lanes(n), p); }
WN_INLINE void store_first(float* p, V v, int n) { _mm512_mask_storeu_ps(p, lanes(n), v); }
WN_INLINE V fma(V a, V b, V c) { return _mm512_fmadd_ps(a, b, c); }
WN_INLINE V add(V a, V b) { return _mm512_add_ps(a, b); }
WN_INLINE V mul(V a, V b) { return _mm512_mul_ps(a, b); }
WN_INLINE V div(V a, V b) { return _mm512_div_ps(a, b); }
WN_INLINE V min(V a, V b) { return _mm512_min_ps(a, b); }
WN_INLINE V max(V a, V b) { return _mm512_max_ps(a, b); }
WN_INLINE V round(V a) { return _mm512_roundscale_ps(a, 8); }
// Asm because g++ 12 otherwise picks the forms that overwrite a factor, then spills and copies accumulators.
WN_INLINE void fma_to(V& c, V a, V b) { asm("vfmadd231ps %2, %1, %0" : "+v"(c) : "v"(a), "v"(b)); }
WN_INLINE V pow2(V n) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127)), 23));
}
WN_INLINE void split(V x, V& e, V& f) {  // x = 2^e (1 + f), f in [-1/3, 1/3], for a positive normal x
  const __m512i two_thirds = _mm512_set1_epi32(0x3f2aaaab);
  const __m512i i = _mm512_sub_epi32(_mm512_castps_si512(x), two_thirds);
  e = _mm512_cvtepi32_ps(_mm512_srai_epi32(i, 23));
  f = _mm512_sub_ps(
      _mm512_castsi512_ps(_mm512_add_epi32(_mm512_and_si512(i, _mm512_set1_epi32(0x007fffff)), two_thirds)), set1(1));
}
WN_INLINE V where_not_le0(V s, V x) { return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(s, set1(0), _CMP_NLE_UQ), x); }
WN_INLINE V where_gt(V s, V t, V x, V y) { return _mm512_mask_mov_ps(y, _mm512_cmp_ps_mask(s, t, _CMP_GT_OQ), x); }
WN_INLINE __m256 fold(V v) {  // the sum of the halves
  return _mm256_add_ps(_mm512_castps512_ps256(v), _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(v), 1)));
}
#else
constexpr int W = 8;
using V = __m256;
alignas(64) const int kTail[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};
WN_INLINE __m256i lanes(int n) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kTail + 8 - (n < 0 ? 0 : n > 8 ? 8 : n)));
}
WN_INLINE V set1(float x) { return _mm256_set1_ps(x); }
WN_INLINE V load(const float* p) { return _mm256_loadu_ps(p); }
WN_INLINE void store(float* p, V v) { _mm256_storeu_ps(p, v); }
WN_INLINE V load_first(const float* p, int n) { return _mm256_maskload_ps(p, lanes(n)); }
WN_INLINE void store_first(float* p, V v, int n) { _mm256_maskstore_ps(p, lanes(n), v); }
WN_INLINE V fma(V a, V b, V c) { return _mm256_fmadd_ps(a, b, c); }
WN_INLINE V add(V a, V b) { return _mm256_add_ps(a, b); }
WN_INLINE V mul(V a, V b) { return _mm256_mul_ps(a, b); }
WN_INLINE V div(V a, V b) { return _mm256_div_ps(a, b); }
WN_INLINE V min(V a, V b) { return _mm256_min_ps(a, b); }
WN_INLINE V max(V a, V b) { return _mm256_max_ps(a, b); }
WN_INLINE V round(V a) { return _mm256_round_ps(a, 8); }
WN_INLINE void fma_to(V& c, V a, V b) { asm("vfmadd231ps %2, %1, %0" : "+x"(c) : "x"(a), "x"(b)); }
WN_INLINE V pow2(V n) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23));
}
WN_INLINE void split(V x, V& e, V& f) {
  const __m256i two_thirds = _mm256_set1_epi32(0x3f2aaaab);
  const __m256i i = _mm256_sub_epi32(_mm256_castps_si256(x), two_thirds);
  e = _mm256_cvtepi32_ps(_mm256_srai_epi32(i, 23));
  f = _mm256_sub_ps(
      _mm256_castsi256_ps(_mm256_add_epi32(_mm256_and_si256(i, _mm256_set1_epi32(0x007fffff)), two_thirds)), set1(1));
}
WN_INLINE V where_not_le0(V s, V x) { return _mm256_and_ps(_mm256_cmp_ps(s, set1(0), _CMP_NLE_UQ), x); }
WN_INLINE V where_gt(V s, V t, V x, V y) { return _mm256_blendv_ps(y, x, _mm256_cmp_ps(s, t, _CMP_GT_OQ)); }
WN_INLINE __m256 fold(V v) { return v; }
#endif

WN_INLINE float lane_sum(V v) {
  const __m256 h = fold(v);
  __m128 q = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
  q = _mm_add_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_add_ss(q, _mm_movehdup_ps(q)));
}

// unrolled<R>(f) calls f(0) .. f(R-1) with constants: only arrays indexed by constants are kept in registers.
template <int I>
struct Int {
  static constexpr int v = I;
};
template <int R, class F>
WN_INLINE void unrolled(F f) {
  if constexpr (R > 0) {
    unrolled<R - 1>(f);
    f(Int<R - 1>{});
  }
}

}  // namespace
}  // namespace winnow::cpu
