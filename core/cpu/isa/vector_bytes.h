// Products of coded rows (core/cpu/row_codes.h) and coded queries. Included only by core/cpu/isa/vector_kernels.cpp.
#pragma once
#include <cstring>

#include "core/cpu/isa/sgemm_vector.h"
#include "core/cpu/vector_kernels.h"

namespace winnow::cpu {
namespace {

#if defined(WINNOW_ISA_avx512)
constexpr int kCodeRows = 8;
using Ints = __m512i;
WN_INLINE Ints zero_ints() { return _mm512_setzero_si512(); }
WN_INLINE Ints load_ints(const void* p) { return _mm512_loadu_si512(p); }
WN_INLINE Ints load_ints(const void* p, int n) { return _mm512_maskz_loadu_epi32(lanes(n), p); }
WN_INLINE void store_ints(int32_t* p, Ints v) { _mm512_storeu_si512(p, v); }
WN_INLINE Ints set1_int(int32_t x) { return _mm512_set1_epi32(x); }
WN_INLINE V floats(Ints v) { return _mm512_cvtepi32_ps(v); }
WN_INLINE uint32_t at_least(V a, V b) { return _mm512_cmp_ps_mask(a, b, _CMP_GE_OQ); }
WN_INLINE __m256i fold_ints(Ints v) {
  return _mm256_add_epi32(_mm512_castsi512_si256(v), _mm512_extracti64x4_epi64(v, 1));
}
// 16-bit sums of two products: |q| <= 63, or they would saturate.
struct Pairs {
  WN_INLINE_LAMBDA static void add_to(Ints& sum, Ints row, Ints q) {
    sum = _mm512_add_epi32(sum, _mm512_madd_epi16(_mm512_maddubs_epi16(row, q), _mm512_set1_epi16(1)));
  }
};
// Asm because the compiler, told of VNNI, might use it in the forms for processors without.
struct Fours {
  WN_INLINE_LAMBDA static void add_to(Ints& sum, Ints row, Ints q) {
    asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(row), "v"(q));
  }
};
#else
constexpr int kCodeRows = 4;
using Ints = __m256i;
WN_INLINE Ints zero_ints() { return _mm256_setzero_si256(); }
WN_INLINE Ints load_ints(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
WN_INLINE Ints load_ints(const void* p, int n) { return _mm256_maskload_epi32(static_cast<const int*>(p), lanes(n)); }
WN_INLINE void store_ints(int32_t* p, Ints v) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v); }
WN_INLINE Ints set1_int(int32_t x) { return _mm256_set1_epi32(x); }
WN_INLINE V floats(Ints v) { return _mm256_cvtepi32_ps(v); }
WN_INLINE uint32_t at_least(V a, V b) {
  return static_cast<uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_GE_OQ)));
}
WN_INLINE __m256i fold_ints(Ints v) { return v; }
struct Pairs {
  WN_INLINE_LAMBDA static void add_to(Ints& sum, Ints row, Ints q) {
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(row, q), _mm256_set1_epi16(1)));
  }
};
#endif
constexpr int kCodePanel = 2 * W;

template <class Bytes>
uint64_t scan_codes(const int8_t* q, const uint8_t* rows, int64_t d, int32_t start, const float* scale, float threshold,
                    int64_t ahead, int32_t* out) {
  constexpr int kSide = 4;
  for (int i = 0; i < kScanRows; i += kSide) {
    const uint8_t* at = rows + i * d;
    if (ahead > 0)
      for (int64_t k = 0; k < kSide * d; k += 64)
        _mm_prefetch(reinterpret_cast<const char*>(at) + ahead + k, _MM_HINT_T0);
    Ints c[kSide];
    unrolled<kSide>([&](auto r) WN_INLINE_LAMBDA { c[r.v] = zero_ints(); });
    int64_t k = 0;
    for (; k + 4 * W <= d; k += 4 * W) {
      const Ints x = load_ints(q + k);
      unrolled<kSide>([&](auto r) WN_INLINE_LAMBDA { Bytes::add_to(c[r.v], load_ints(at + r.v * d + k), x); });
    }
    if (k < d) {
      const int left = static_cast<int>(d - k) / 4;
      const Ints x = load_ints(q + k, left);
      unrolled<kSide>([&](auto r) WN_INLINE_LAMBDA { Bytes::add_to(c[r.v], load_ints(at + r.v * d + k, left), x); });
    }
    const __m256i s = _mm256_hadd_epi32(_mm256_hadd_epi32(fold_ints(c[0]), fold_ints(c[1])),
                                        _mm256_hadd_epi32(fold_ints(c[2]), fold_ints(c[3])));
    const __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(s), _mm256_extracti128_si256(s, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i), _mm_add_epi32(sum, _mm_set1_epi32(start)));
  }
  uint64_t above = 0;
  const V least = set1(threshold);
  for (int i = 0; i < kScanRows; i += W)
    above |= uint64_t{at_least(mul(floats(load_ints(out + i)), load(scale + i)), least)} << i;
  return above;
}

template <class Bytes, int NV>
bool tile_codes_of(const uint8_t* rows, int64_t d, const int8_t* queries, const int32_t* start, const float* scale,
                   const float* threshold, int64_t ahead, int32_t* out, uint32_t* above) {
  Ints c[kCodeRows][NV];
  unrolled<kCodeRows>([&](auto r) WN_INLINE_LAMBDA {
    unrolled<NV>([&](auto v) WN_INLINE_LAMBDA { c[r.v][v.v] = load_ints(start + v.v * W); });
  });
  if (ahead > 0)
    for (int64_t k = 0; k < kCodeRows * d; k += 64)
      _mm_prefetch(reinterpret_cast<const char*>(rows) + ahead + k, _MM_HINT_T0);
  for (int64_t k = 0; k < d; k += 4, queries += 4 * kCodePanel) {
    Ints y[NV];
    unrolled<NV>([&](auto v) WN_INLINE_LAMBDA { y[v.v] = load_ints(queries + v.v * 4 * W); });
    unrolled<kCodeRows>([&](auto r) WN_INLINE_LAMBDA {
      int32_t four;
      std::memcpy(&four, rows + r.v * d + k, 4);
      const Ints x = set1_int(four);
      unrolled<NV>([&](auto v) WN_INLINE_LAMBDA { Bytes::add_to(c[r.v][v.v], x, y[v.v]); });
    });
  }
  V least[NV], most[NV];
  unrolled<NV>([&](auto v) WN_INLINE_LAMBDA {
    least[v.v] = load(threshold + v.v * W);
    most[v.v] = mul(floats(c[0][v.v]), set1(scale[0]));
    unrolled<kCodeRows - 1>([&](auto r) WN_INLINE_LAMBDA {
      most[v.v] = max(most[v.v], mul(floats(c[r.v + 1][v.v]), set1(scale[r.v + 1])));
    });
  });
  if ((at_least(most[0], least[0]) | at_least(most[NV - 1], least[NV - 1])) == 0) return false;
  unrolled<kCodeRows>([&](auto r) WN_INLINE_LAMBDA {
    above[r.v] = 0;
    unrolled<NV>([&](auto v) WN_INLINE_LAMBDA {
      store_ints(out + r.v * kCodePanel + v.v * W, c[r.v][v.v]);
      above[r.v] |= at_least(mul(floats(c[r.v][v.v]), set1(scale[r.v])), least[v.v]) << (v.v * W);
    });
  });
  return true;
}
template <class Bytes>
bool tile_codes(const uint8_t* rows, int64_t d, const int8_t* queries, bool half, const int32_t* start,
                const float* scale, const float* threshold, int64_t ahead, int32_t* out, uint32_t* above) {
  return half ? tile_codes_of<Bytes, 1>(rows, d, queries, start, scale, threshold, ahead, out, above)
              : tile_codes_of<Bytes, 2>(rows, d, queries, start, scale, threshold, ahead, out, above);
}

}  // namespace
}  // namespace winnow::cpu
