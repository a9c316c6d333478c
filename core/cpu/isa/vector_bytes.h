// Products of signed bytes, exact: no form saturates. Included only by core/cpu/isa/vector_kernels.cpp.
#pragma once
#include "core/cpu/isa/sgemm_vector.h"
#include "core/cpu/vector_kernels.h"

namespace winnow::cpu {
namespace {

#if defined(WINNOW_ISA_avx512)
// Bytes widened to 16 bits; pairs of products are added in 32.
struct Wide {
  static constexpr int kBytes = 32;
  __m512i sum = _mm512_setzero_si512();
  WN_INLINE_LAMBDA static __m512i widen(const int8_t* p) {
    return _mm512_cvtepi8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  WN_INLINE_LAMBDA void add(const int8_t* a, const int8_t* b) {
    sum = _mm512_add_epi32(sum, _mm512_madd_epi16(widen(a), widen(b)));
  }
  WN_INLINE_LAMBDA int32_t total() const {
    const __m256i h = _mm256_add_epi32(_mm512_castsi512_si256(sum), _mm512_extracti64x4_epi64(sum, 1));
    __m128i q = _mm_add_epi32(_mm256_castsi256_si128(h), _mm256_extracti128_si256(h, 1));
    q = _mm_add_epi32(q, _mm_shuffle_epi32(q, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(q, _mm_shuffle_epi32(q, 0xb1)));
  }
};
#else
struct Wide {
  static constexpr int kBytes = 16;
  __m256i sum = _mm256_setzero_si256();
  WN_INLINE_LAMBDA static __m256i widen(const int8_t* p) {
    return _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  WN_INLINE_LAMBDA void add(const int8_t* a, const int8_t* b) {
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(widen(a), widen(b)));
  }
  WN_INLINE_LAMBDA int32_t total() const {
    __m128i q = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
    q = _mm_add_epi32(q, _mm_shuffle_epi32(q, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(q, _mm_shuffle_epi32(q, 0xb1)));
  }
};
#endif

template <class Sum>
WN_INLINE int32_t dot_i8(const int8_t* q, const int8_t* row, int64_t d) {
  Sum a, b;
  int64_t k = 0;
  for (; k + 2 * Sum::kBytes <= d; k += 2 * Sum::kBytes) {
    a.add(q + k, row + k);
    b.add(q + k + Sum::kBytes, row + k + Sum::kBytes);
  }
  if (k + Sum::kBytes <= d) {
    a.add(q + k, row + k);
    k += Sum::kBytes;
  }
  int32_t rest = 0;
  for (; k < d; ++k) rest += q[k] * row[k];
  return rest + a.total() + b.total();
}
template <class Sum>
void scan_i8(const int8_t* q, const int8_t* rows, int n, int64_t d, int32_t* out) {
  for (int i = 0; i < n; ++i) out[i] = dot_i8<Sum>(q, rows + i * d, d);
}
template <class Sum>
void dots_i8(const int8_t* q, const int8_t* const* rows, int64_t n, int64_t d, int32_t* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = dot_i8<Sum>(q, rows[i], d);
}

#if defined(WINNOW_ISA_avx512)
// vpdpbusd multiplies unsigned by signed bytes: q . row = (row + 128) . q - 128 sum(q), the sum taken once. Its 32-bit
// sums wrap only beyond d = 65536.
#define WN_VNNI __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")))
WN_VNNI static int32_t byte_sum(const int8_t* q, int64_t d) {
  int32_t sum = 0;
  for (int64_t k = 0; k < d; ++k) sum += q[k];
  return sum;
}
WN_VNNI static inline __mmask64 first_bytes(int64_t n) { return n >= 64 ? ~0ull : (1ull << n) - 1ull; }

// Four rows side by side; rows past the last repeat it.
WN_VNNI static inline void vnni4(const int8_t* q, const int8_t* const (&rows)[4], int64_t d, int32_t correction,
                                 int32_t* out) {
  const __m512i flip = _mm512_set1_epi8(-128);
  __m512i c0 = _mm512_setzero_si512(), c1 = c0, c2 = c0, c3 = c0;
  for (int64_t k = 0; k < d; k += 64) {
    const __mmask64 m = first_bytes(d - k);
    const __m512i x = _mm512_maskz_loadu_epi8(m, q + k);
    c0 = _mm512_dpbusd_epi32(c0, _mm512_xor_si512(flip, _mm512_maskz_loadu_epi8(m, rows[0] + k)), x);
    c1 = _mm512_dpbusd_epi32(c1, _mm512_xor_si512(flip, _mm512_maskz_loadu_epi8(m, rows[1] + k)), x);
    c2 = _mm512_dpbusd_epi32(c2, _mm512_xor_si512(flip, _mm512_maskz_loadu_epi8(m, rows[2] + k)), x);
    c3 = _mm512_dpbusd_epi32(c3, _mm512_xor_si512(flip, _mm512_maskz_loadu_epi8(m, rows[3] + k)), x);
  }
  const auto half =
      [](__m512i v) __attribute__((always_inline, target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni"))) {
    return _mm256_add_epi32(_mm512_castsi512_si256(v), _mm512_extracti64x4_epi64(v, 1));
  };
  const __m256i s = _mm256_hadd_epi32(_mm256_hadd_epi32(half(c0), half(c1)), _mm256_hadd_epi32(half(c2), half(c3)));
  const __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(s), _mm256_extracti128_si256(s, 1));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out), _mm_sub_epi32(sum, _mm_set1_epi32(correction)));
}
WN_VNNI static void scan_vnni(const int8_t* q, const int8_t* rows, int n, int64_t d, int32_t* out) {
  const int32_t correction = 128 * byte_sum(q, d);
  int32_t four[4];
  for (int i = 0; i < n; i += 4) {
    const int8_t* const at[4] = {rows + i * d, rows + (i + 1 < n ? i + 1 : n - 1) * d,
                                 rows + (i + 2 < n ? i + 2 : n - 1) * d, rows + (i + 3 < n ? i + 3 : n - 1) * d};
    vnni4(q, at, d, correction, four);
    for (int r = i; r < n && r < i + 4; ++r) out[r] = four[r - i];
  }
}
WN_VNNI static void dots_vnni(const int8_t* q, const int8_t* const* rows, int64_t n, int64_t d, int32_t* out) {
  const int32_t correction = 128 * byte_sum(q, d);
  int32_t four[4];
  for (int64_t i = 0; i < n; i += 4) {
    const int8_t* const at[4] = {rows[i], rows[i + 1 < n ? i + 1 : n - 1], rows[i + 2 < n ? i + 2 : n - 1],
                                 rows[i + 3 < n ? i + 3 : n - 1]};
    vnni4(q, at, d, correction, four);
    for (int64_t r = i; r < n && r < i + 4; ++r) out[r] = four[r - i];
  }
}
#endif

}  // namespace
}  // namespace winnow::cpu
