// What the forms of attention share: products with free strides, transposition, random bits. Included only by the
// attention files of this folder.
#pragma once
#include "core/cpu/attention.h"
#include "core/cpu/isa/sgemm_activations.h"

namespace winnow::cpu {
namespace {

const float kMinusInfinity = -__builtin_inff();
#if defined(WINNOW_ISA_avx512)
constexpr int MR = 12;
WN_INLINE V first_or(V v, int n, V rest) { return _mm512_mask_mov_ps(rest, lanes(n), v); }
WN_INLINE V keep(const uint16_t* bits, int32_t threshold, V scale) {
  const __m512i r = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(bits)));
  return _mm512_maskz_mov_ps(_mm512_cmpge_epi32_mask(r, _mm512_set1_epi32(threshold)), scale);
}
// The same where the lanes' bits lie `stride` apart.
WN_INLINE V keep_strided(const uint16_t* bits, int stride, int32_t threshold, V scale) {
  const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const __m512i two = _mm512_i32gather_epi32(_mm512_mullo_epi32(lane, _mm512_set1_epi32(stride)), bits, 2);
  const __m512i r = _mm512_and_si512(two, _mm512_set1_epi32(0xffff));
  return _mm512_maskz_mov_ps(_mm512_cmpge_epi32_mask(r, _mm512_set1_epi32(threshold)), scale);
}
WN_INLINE __m256 fold_max(V v) {
  return _mm256_max_ps(_mm512_castps512_ps256(v), _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(v), 1)));
}
#else
constexpr int MR = 6;
WN_INLINE V first_or(V v, int n, V rest) { return _mm256_blendv_ps(rest, v, _mm256_castsi256_ps(lanes(n))); }
WN_INLINE V keep(const uint16_t* bits, int32_t threshold, V scale) {
  const __m256i r = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bits)));
  return _mm256_and_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(r, _mm256_set1_epi32(threshold - 1))), scale);
}
WN_INLINE V keep_strided(const uint16_t* bits, int stride, int32_t threshold, V scale) {
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  const __m256i two = _mm256_i32gather_epi32(reinterpret_cast<const int*>(bits),
                                             _mm256_mullo_epi32(lane, _mm256_set1_epi32(stride)), 2);
  const __m256i r = _mm256_and_si256(two, _mm256_set1_epi32(0xffff));
  return _mm256_and_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(r, _mm256_set1_epi32(threshold - 1))), scale);
}
WN_INLINE __m256 fold_max(V v) { return v; }
#endif

WN_INLINE float lane_max(V v) {
  const __m256 h = fold_max(v);
  __m128 q = _mm_max_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
  q = _mm_max_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_max_ss(q, _mm_movehdup_ps(q)));
}
WN_INLINE int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
WN_INLINE int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

// c[R, NU W] (+)= sum_k a[r rs + k ks] * b[k ldb + ..]
template <int R, int NU>
void product_tile(int64_t k, const float* a, int64_t rs, int64_t ks, const float* b, int64_t ldb, float* c, int64_t ldc,
                  bool add_c) {
  V sum[R][NU];
  unrolled<R * NU>([&](auto i) WN_INLINE_LAMBDA { sum[i.v / NU][i.v % NU] = set1(0); });
  for (; k > 0; --k, a += ks, b += ldb) {
    V y[NU];
    unrolled<NU>([&](auto v) WN_INLINE_LAMBDA { y[v.v] = load(b + v.v * W); });
    unrolled<R>([&](auto r) WN_INLINE_LAMBDA {
      const V x = set1(a[r.v * rs]);
      unrolled<NU>([&](auto v) WN_INLINE_LAMBDA { fma_to(sum[r.v][v.v], x, y[v.v]); });
    });
  }
  unrolled<R * NU>([&](auto i) WN_INLINE_LAMBDA {
    float* at = c + i.v / NU * ldc + i.v % NU * W;
    const V s = sum[i.v / NU][i.v % NU];
    store(at, add_c ? add(s, load(at)) : s);
  });
}
template <int R, int NU>
void product_rows(int rows, int64_t k, const float* a, int64_t rs, int64_t ks, const float* b, int64_t ldb, float* c,
                  int64_t ldc, bool add_c) {
  if constexpr (R > 1)
    if (rows < R) return product_rows<R - 1, NU>(rows, k, a, rs, ks, b, ldb, c, ldc, add_c);
  product_tile<R, NU>(k, a, rs, ks, b, ldb, c, ldc, add_c);
}
// n is a multiple of W. Rows are dealt out evenly, so that no thin last tile is left.
void product(int64_t m, int64_t n, int64_t k, const float* a, int64_t rs, int64_t ks, const float* b, int64_t ldb,
             float* c, int64_t ldc, bool add_c) {
  const int64_t parts = (m + MR - 1) / MR;
  for (int64_t j = 0; j < n; j += 2 * W)
    for (int64_t t = 0; t < parts; ++t) {
      const int64_t i = m * t / parts;
      const int rows = static_cast<int>(m * (t + 1) / parts - i);
      if (n - j >= 2 * W)
        product_rows<MR, 2>(rows, k, a + i * rs, rs, ks, b + j, ldb, c + i * ldc + j, ldc, add_c);
      else
        product_rows<MR, 1>(rows, k, a + i * rs, rs, ks, b + j, ldb, c + i * ldc + j, ldc, add_c);
    }
}

// 8 x 8 floats, rows `stride` apart, transposed to rows kScoreRow apart; rows from n on are zeros.
WN_INLINE void transpose8(int64_t n, const float* src, int64_t stride, float* dst) {
  __m256 r[8], t[8];
  for (int i = 0; i < 8; ++i) r[i] = i < n ? _mm256_loadu_ps(src + i * stride) : _mm256_setzero_ps();
  for (int i = 0; i < 8; i += 2) {
    t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
    t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
  }
  for (int i = 0; i < 8; i += 4)
    for (int k = 0; k < 2; ++k) {
      r[i + 2 * k] = _mm256_shuffle_ps(t[i + k], t[i + k + 2], 0x44);
      r[i + 2 * k + 1] = _mm256_shuffle_ps(t[i + k], t[i + k + 2], 0xEE);
    }
  for (int i = 0; i < 4; ++i) {
    _mm256_storeu_ps(dst + i * kScoreRow, _mm256_permute2f128_ps(r[i], r[i + 4], 0x20));
    _mm256_storeu_ps(dst + (i + 4) * kScoreRow, _mm256_permute2f128_ps(r[i], r[i + 4], 0x31));
  }
}
// dst[dim, kScoreRow] = the n rows transposed, zero in columns n .. round_up(n, W).
void pack_transposed(int64_t n, int dim, const float* src, int64_t stride, float* dst) {
  int64_t j = 0;
  for (; j + 8 <= n; j += 8, src += 8 * stride)
    for (int d = 0; d < dim; d += 8) transpose8(8, src + d, stride, dst + d * kScoreRow + j);
  for (const int64_t end = round_up(n, W); j < end; j += 8)
    for (int d = 0; d < dim; d += 8) transpose8(n - j, src + d, stride, dst + d * kScoreRow + j);
}
void pack(int64_t n, int dim, const float* src, int64_t stride, float* dst) {
  for (int64_t i = 0; i < n; ++i)
    for (int d = 0; d < dim; d += W) store(dst + i * dim + d, load(src + i * stride + d));
}

// The random bits of a tile of weights.
class Bits {
 public:
  Bits(const AttentionItem& item, uint16_t* buffer)
      : item_(item), buffer_(buffer), width_(round_up(item.length, 8)), scale_(set1(item.keep_scale)) {}
  void fill(int64_t q0, int64_t rows, int64_t k0, int64_t keys) {
    whole_ = k0 == 0 && keys == item_.length;  // rows follow one another without a gap
    if (whole_) {
      first_ = fill_range(q0 * width_, rows * width_, buffer_);
      return;
    }
    for (int64_t r = 0; r < rows; ++r)
      offset_[r] = static_cast<uint8_t>(fill_range((q0 + r) * width_ + k0, keys, buffer_ + r * kBitsRow));
  }
  V at(int64_t row, int64_t j) const {
    const uint16_t* bits = whole_ ? buffer_ + first_ + row * width_ : buffer_ + row * kBitsRow + offset_[row];
    return keep(bits + j, item_.threshold, scale_);
  }

 private:
  // Writes whole groups; returns where in them the range begins.
  int64_t fill_range(int64_t begin, int64_t n, uint16_t* to) const {
    const int64_t first = static_cast<int64_t>(item_.first_element / 64) + begin / 64;
    for (int64_t g = 0; 64 * g < begin % 64 + n; ++g) item_.fill(item_.fill_state, first + g, to + 64 * g);
    return begin % 64;
  }
  const AttentionItem& item_;
  uint16_t* buffer_;
  int64_t width_;
  V scale_;
  bool whole_ = false;
  int64_t first_ = 0;
  uint8_t offset_[kQueryTile];
};

}  // namespace
}  // namespace winnow::cpu
