// Compiled once per instruction set, under the rule of sgemm_kernels.cpp.
#include "core/cpu/int8_kernels.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "core/cpu/int8_matmul.h"
#include "core/cpu/isa/sgemm_vector.h"

namespace winnow::cpu {
namespace {

constexpr size_t kPanel = kInt8Panel;
constexpr size_t groups_of(size_t k) { return (k + 3) / 4; }

struct Range {
  float low, step, inverse;
};
// Of a row: NaN where an element, or the width of the range, is not finite.
Range range_of(const float* a, size_t k, int levels) {
  if (k == 0) return {0, 0, 0};
  V low = set1(std::numeric_limits<float>::infinity()), high = set1(-std::numeric_limits<float>::infinity());
  V odd = set1(0);  // NaN once something is not finite
  size_t i = 0;
  for (; i + W <= k; i += W) {
    const V x = load(a + i);
    low = min(x, low), high = max(x, high), odd = fma(x, set1(0), odd);
  }
  alignas(64) float lows[W], highs[W], odds[W];
  store(lows, low), store(highs, high), store(odds, odd);
  float least = lows[0], most = highs[0], sum = odds[0];
  for (int l = 1; l < W; ++l) least = std::min(least, lows[l]), most = std::max(most, highs[l]), sum += odds[l];
  for (; i < k; ++i) least = std::min(least, a[i]), most = std::max(most, a[i]), sum += a[i] * 0.f;
  const float width = most - least;
  if (!std::isfinite(width) || sum != 0.f) {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    return {nan, nan, 0};
  }
  const float step = width / static_cast<float>(levels), inverse = static_cast<float>(levels) / width;
  if (!std::isfinite(inverse)) return {least, 0, 0};  // all equal, or as good as
  return {least, step, inverse};
}

#if defined(WINNOW_ISA_avx512)
WN_INLINE __m512i codes16(const float* a, size_t left, const Range& r) {
  const V x = left >= 16 ? load(a) : load_first(a, static_cast<int>(left));
  const V q = max(set1(0), mul(_mm512_sub_ps(x, set1(r.low)), set1(r.inverse)));  // 0 of NaN
  const __m512i i = _mm512_cvtps_epi32(q);
  return left >= 16 ? i : _mm512_maskz_mov_epi32(lanes(static_cast<int>(left)), i);
}
#else
WN_INLINE __m256i codes8(const float* a, size_t left, const Range& r) {
  const V x = left >= 8 ? load(a) : load_first(a, static_cast<int>(left));
  const V q = max(set1(0), mul(_mm256_sub_ps(x, set1(r.low)), set1(r.inverse)));
  const __m256i i = _mm256_cvtps_epi32(q);
  return left >= 8 ? i : _mm256_and_si256(i, lanes(static_cast<int>(left)));
}
#endif

// ---- words: codes widened to 16 bits, pairs of products added in 32

constexpr size_t kWordBlock = 512;  // k whose sums, of 15 bits by 8, fit 32 bits

size_t word_bytes(size_t k, int) { return groups_of(k) * 4 * sizeof(int16_t); }

void quantise_words(const float* a, size_t k, int bits, char* q, float* low, float* step) {
  const Range r = range_of(a, k, (1 << bits) - 1);
  *low = r.low, *step = r.step;
  auto* out = reinterpret_cast<int16_t*>(q);
  for (size_t i = 0; i < k; i += W) {
    alignas(64) int16_t words[W];
#if defined(WINNOW_ISA_avx512)
    _mm256_store_si256(reinterpret_cast<__m256i*>(words), _mm512_cvtepi32_epi16(codes16(a + i, k - i, r)));
#else
    const __m256i c = codes8(a + i, k - i, r);
    _mm_store_si128(reinterpret_cast<__m128i*>(words),
                    _mm_packs_epi32(_mm256_castsi256_si128(c), _mm256_extracti128_si256(c, 1)));
#endif
    std::memcpy(out + i, words, std::min<size_t>(W, groups_of(k) * 4 - i) * sizeof(int16_t));
  }
}

#if defined(WINNOW_ISA_avx512)
using Word = __m512i;
WN_INLINE Word zero_words() { return _mm512_setzero_si512(); }
WN_INLINE Word widen(const int8_t* p) {
  return _mm512_cvtepi8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
// Of two vectors of (column, half) pairs, the sums by column.
WN_INLINE V sums_of(Word a, Word b) {
  const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  const __m512i odd = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
  return _mm512_cvtepi32_ps(
      _mm512_add_epi32(_mm512_permutex2var_epi32(a, even, b), _mm512_permutex2var_epi32(a, odd, b)));
}
constexpr int kWordRows = 8;
#else
using Word = __m256i;
WN_INLINE Word zero_words() { return _mm256_setzero_si256(); }
WN_INLINE Word widen(const int8_t* p) {
  return _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
WN_INLINE V sums_of(Word a, Word b) {
  return _mm256_cvtepi32_ps(_mm256_permute4x64_epi64(_mm256_hadd_epi32(a, b), 0xd8));
}
constexpr int kWordRows = 6;
#endif

// Asm in this order: with AVX2 twelve sums, two vectors of codes, one of the row and a product are all the registers
// there are.
WN_INLINE Word spread(const char* p) {
  Word x;
  asm volatile("vpbroadcastq %1, %0" : "=v"(x) : "m"(*reinterpret_cast<const char(*)[8]>(p)));
  return x;
}
WN_INLINE void add_products(Word& c, Word a, Word b) {
  Word product;
  asm volatile("vpmaddwd %3, %2, %1\n\tvpaddd %1, %0, %0" : "+v"(c), "=&v"(product) : "v"(a), "v"(b));
}

// W columns of R rows from column j of the panel on: two vectors of W / 2 columns.
template <int R>
WN_INLINE void word_columns(size_t k, const Int8Rows& a, const int8_t* panel, size_t j, V* sums) {
  unrolled<R>([&](auto r) WN_INLINE_LAMBDA { sums[r.v] = set1(0); });
  for (size_t first = 0; first < k; first += kWordBlock) {
    const size_t end = groups_of(std::min(k, first + kWordBlock));
    Word c[R][2];
    unrolled<R>([&](auto r) WN_INLINE_LAMBDA { c[r.v][0] = c[r.v][1] = zero_words(); });
    for (size_t g = first / 4; g < end; ++g) {
      const int8_t* w = panel + g * kPanel * 4 + j * 4;
      const Word w0 = widen(w), w1 = widen(w + W * 2);
      unrolled<R>([&](auto r) WN_INLINE_LAMBDA {
        const Word x = spread(a.q + static_cast<size_t>(r.v) * a.row_bytes + g * 8);
        add_products(c[r.v][0], x, w0);
        add_products(c[r.v][1], x, w1);
      });
    }
    unrolled<R>([&](auto r) WN_INLINE_LAMBDA { sums[r.v] = add(sums[r.v], sums_of(c[r.v][0], c[r.v][1])); });
  }
}

WN_INLINE void scaled(float* acc, V sum, float step, float low, const float* columns, size_t sums) {
  store(acc, mul(load(columns), fma(sum, set1(step), mul(set1(low), load(columns + sums)))));
}

template <int R>
void word_tile(size_t k, const Int8Rows& a, const int8_t* panel, const float* columns, size_t sums, float* acc) {
  for (size_t j = 0; j < kPanel; j += W) {
    V total[R];
    word_columns<R>(k, a, panel, j, total);
    unrolled<R>([&](auto r) WN_INLINE_LAMBDA {
      scaled(acc + static_cast<size_t>(r.v) * kPanel + j, total[r.v], a.step[r.v], a.low[r.v], columns + j, sums);
    });
  }
}

// f<R>() of the number of rows at run time.
template <int Most, class F>
WN_INLINE void with_rows(int rows, F f) {
  if constexpr (Most > 0) {
    if (rows == Most)
      f(Int<Most>{});
    else
      with_rows<Most - 1>(rows, f);
  }
}
void words_tile(int rows, size_t k, int, const Int8Rows& a, const int8_t* panel, const float* columns, size_t sums,
                float* acc) {
  with_rows<kWordRows>(rows, [&](auto r) { word_tile<r.v>(k, a, panel, columns, sums, acc); });
}

#if defined(WINNOW_ISA_avx512)
// ---- VNNI: unsigned by signed bytes, four products a lane. Codes of 15 bits are two planes, the high seven bits
// first.

size_t byte_bytes(size_t k, int bits) { return groups_of(k) * 4 * (bits == 8 ? 1 : 2); }

void quantise_bytes(const float* a, size_t k, int bits, char* q, float* low, float* step) {
  const Range r = range_of(a, k, (1 << bits) - 1);
  *low = r.low, *step = r.step;
  const size_t padded = groups_of(k) * 4;
  for (size_t i = 0; i < k; i += 16) {
    const __m512i c = codes16(a + i, k - i, r);
    const auto stored = lanes(static_cast<int>(std::min<size_t>(16, padded - i)));
    if (bits == 8) {
      _mm_mask_storeu_epi8(q + i, stored, _mm512_cvtepi32_epi8(c));
    } else {
      _mm_mask_storeu_epi8(q + i, stored, _mm512_cvtepi32_epi8(_mm512_srli_epi32(c, 8)));
      _mm_mask_storeu_epi8(q + padded + i, stored, _mm512_cvtepi32_epi8(c));
    }
  }
}

// Asm: no target attribute is needed then, and accumulators stay where they are (sgemm_vector.h).
WN_INLINE void add_four(__m512i& c, __m512i bytes, __m512i codes) {
  asm("vpdpbusd %2, %1, %0" : "+v"(c) : "v"(bytes), "v"(codes));
}

// Planes rows of bytes, `stride` apart.
template <int P>
WN_INLINE void byte_sums(size_t groups, const char* q, size_t stride, const int8_t* panel, __m512i (&c)[P][2]) {
  unrolled<P>([&](auto p) WN_INLINE_LAMBDA { c[p.v][0] = c[p.v][1] = _mm512_setzero_si512(); });
  const char* third[4] = {q, q + 3 * stride, q + 6 * stride, q + 9 * stride};
  for (size_t g = 0; g < groups; ++g) {
    const __m512i w0 = _mm512_loadu_si512(panel + g * kPanel * 4), w1 = _mm512_loadu_si512(panel + g * kPanel * 4 + 64);
    unrolled<P>([&](auto p) WN_INLINE_LAMBDA {
      int32_t four;
      std::memcpy(&four, third[p.v / 3] + static_cast<size_t>(p.v % 3) * stride + g * 4, sizeof four);
      const __m512i x = _mm512_set1_epi32(four);
      add_four(c[p.v][0], x, w0);
      add_four(c[p.v][1], x, w1);
    });
  }
}

template <int R>
void byte_tile(size_t k, const Int8Rows& a, const int8_t* panel, const float* columns, size_t sums, float* acc) {
  __m512i c[R][2];
  byte_sums<R>(groups_of(k), a.q, a.row_bytes, panel, c);
  unrolled<R>([&](auto r) WN_INLINE_LAMBDA {
    unrolled<2>([&](auto v) WN_INLINE_LAMBDA {
      scaled(acc + static_cast<size_t>(r.v) * kPanel + v.v * 16, _mm512_cvtepi32_ps(c[r.v][v.v]), a.step[r.v],
             a.low[r.v], columns + v.v * 16, sums);
    });
  });
}
template <int R>
void plane_tile(size_t k, const Int8Rows& a, const int8_t* panel, const float* columns, size_t sums, float* acc) {
  __m512i c[2 * R][2];
  byte_sums<2 * R>(groups_of(k), a.q, a.row_bytes / 2, panel, c);
  unrolled<R>([&](auto r) WN_INLINE_LAMBDA {
    unrolled<2>([&](auto v) WN_INLINE_LAMBDA {
      const V sum = fma(_mm512_cvtepi32_ps(c[2 * r.v][v.v]), set1(256), _mm512_cvtepi32_ps(c[2 * r.v + 1][v.v]));
      scaled(acc + static_cast<size_t>(r.v) * kPanel + v.v * 16, sum, a.step[r.v], a.low[r.v], columns + v.v * 16,
             sums);
    });
  });
}
void bytes_tile(int rows, size_t k, int bits, const Int8Rows& a, const int8_t* panel, const float* columns, size_t sums,
                float* acc) {
  if (bits == 8)
    with_rows<12>(rows, [&](auto r) { byte_tile<r.v>(k, a, panel, columns, sums, acc); });
  else
    with_rows<6>(rows, [&](auto r) { plane_tile<r.v>(k, a, panel, columns, sums, acc); });
}
#endif

}  // namespace

#if defined(WINNOW_ISA_avx512)
const Int8Kernels* int8_kernels_avx512() {
  static const Int8Kernels kernels = {kWordRows, kWordRows, word_bytes, quantise_words, words_tile};
  return &kernels;
}
const Int8Kernels* int8_kernels_vnni() {
  static const Int8Kernels kernels = {12, 6, byte_bytes, quantise_bytes, bytes_tile};
  return &kernels;
}
#else
const Int8Kernels* int8_kernels_avx2() {
  static const Int8Kernels kernels = {kWordRows, kWordRows, word_bytes, quantise_words, words_tile};
  return &kernels;
}
#endif

}  // namespace winnow::cpu
