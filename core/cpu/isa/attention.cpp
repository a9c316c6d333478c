// Compiled once per instruction set, as sgemm_kernels.cpp is, and under the same rule: no inline function of the
// standard library. A tile of keys is packed once and meets every tile of queries: packed qkv rows lie 3 hidden floats
// apart and would share a few sets of the L1 cache.
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

// 8 x 8 floats, rows `stride` apart, transposed to rows kScoreRow apart.
WN_INLINE void transpose8(const float* src, int64_t stride, float* dst) {
  __m256 r[8], t[8];
  for (int i = 0; i < 8; ++i) r[i] = _mm256_loadu_ps(src + i * stride);
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
    for (int d = 0; d < dim; d += 8) transpose8(src + d, stride, dst + d * kScoreRow + j);
  for (const int64_t end = round_up(n, W); j < end; ++j, src += stride)
    for (int d = 0; d < dim; ++d) dst[d * kScoreRow + j] = j < n ? src[d] : 0.f;
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

// Where the parts of a workspace lie.
struct Workspace {
  float *top, *sum, *p, *ds, *kt, *vt, *k, *q, *dout, *delta;
  uint16_t* bits;
  Workspace(int dim, int64_t longest, float* at) {
    const int64_t rows = round_up(longest, 16);
    const auto take = [&](int64_t n) {
      float* here = at;
      at += n;
      return here;
    };
    top = take(rows);
    sum = take(rows);
    p = take(kQueryTile * kScoreRow);
    ds = take(kQueryTile * kScoreRow);
    kt = take(dim * kScoreRow);
    vt = take(dim * kScoreRow);
    k = take(kKeyTile * dim);
    q = take(kQueryTile * dim);
    dout = take(kQueryTile * dim);
    delta = take(kQueryTile);
    bits = reinterpret_cast<uint16_t*>(take(kBitsFloats));  // the parts add up to attention_workspace()
  }
};

WN_INLINE int64_t bias_place(const AttentionItem& item, int64_t distance) {
  return (distance < -item.reach ? -item.reach : distance > item.reach ? item.reach : distance) + item.reach;
}

// p[j] = scale p[j] + bias of key k0 + j for query i.
void add_bias(const AttentionItem& item, int64_t i, int64_t k0, int64_t used, float* p) {
  for (int64_t j = 0; j < used; ++j) { p[j] = p[j] * item.scale + item.bias[bias_place(item, k0 + j - i)]; }
}
void add_bias_gradient(const AttentionItem& item, int64_t i, int64_t k0, int64_t used, const float* ds) {
  for (int64_t j = 0; j < used; ++j) { item.dbias[bias_place(item, k0 + j - i)] += ds[j]; }
}

// Scores of a row become weights e^(score - maximum); what was summed before is rescaled.
void weigh_row(const AttentionItem& item, const Workspace& w, const Bits& bits, int64_t i, int64_t r, int64_t k0,
               int64_t used, int64_t n) {
  float* p = w.p + r * kScoreRow;
  float* out = item.out + i * item.hidden;
  if (item.bias != nullptr) add_bias(item, i, k0, used, p);
  const float by = item.bias != nullptr ? 1.f : item.scale;
  const V low = set1(kMinusInfinity);
  V m = low;
  for (int64_t j = 0; j < used; j += W) m = max(m, first_or(load(p + j), static_cast<int>(least(used - j, W)), low));
  const float before = k0 > 0 ? w.top[i] : kMinusInfinity, largest = lane_max(m) * by;
  const float now = before > largest ? before : largest;
  const V scale = set1(by), shift = set1(-now);
  V sum = set1(0);
  for (int64_t j = 0; j < used; j += W) {
    const V e = first_or(vexp(fma(load(p + j), scale, shift)), static_cast<int>(least(used - j, W)), set1(0));
    sum = add(sum, e);
    store(p + j, item.threshold > 0 ? mul(e, bits.at(r, j)) : e);
  }
  for (int64_t j = round_up(used, W); j < n; j += W) store(p + j, set1(0));
  w.top[i] = now;
  if (k0 == 0) {
    w.sum[i] = lane_sum(sum);
    return;
  }
  const float shrink = __builtin_expf(before - now);
  w.sum[i] = w.sum[i] * shrink + lane_sum(sum);
  if (shrink != 1.f)
    for (int d = 0; d < item.dim; d += W) store(out + d, mul(load(out + d), set1(shrink)));
}

WN_INLINE int64_t used_keys(const AttentionItem& item, int64_t i, int64_t k0, int64_t n) {
  return item.causal ? least(n, i - k0 + 1) : n;
}

void forward(const AttentionItem& item, float* workspace) {
  const Workspace w(item.dim, item.length, workspace);
  Bits bits(item, w.bits);
  const int dim = item.dim;
  for (int64_t k0 = 0; k0 < item.length; k0 += kKeyTile) {
    const int64_t keys = least(kKeyTile, item.length - k0);
    pack_transposed(keys, dim, item.q + k0 * item.row + item.hidden, item.row, w.kt);
    pack(keys, dim, item.q + k0 * item.row + 2 * item.hidden, item.row, w.k);
    for (int64_t q0 = item.causal ? k0 : 0; q0 < item.length; q0 += kQueryTile) {
      const int64_t rows = least(kQueryTile, item.length - q0), n = item.causal ? least(keys, q0 + rows - k0) : keys;
      product(rows, round_up(n, W), dim, item.q + q0 * item.row, item.row, 1, w.kt, kScoreRow, w.p, kScoreRow, false);
      if (item.threshold > 0) bits.fill(q0, rows, k0, keys);
      for (int64_t r = 0; r < rows; ++r) weigh_row(item, w, bits, q0 + r, r, k0, used_keys(item, q0 + r, k0, n), n);
      product(rows, dim, n, w.p, kScoreRow, 1, w.k, dim, item.out + q0 * item.hidden, item.hidden, k0 > 0);
    }
  }
  for (int64_t t = 0; t < item.length; ++t) {
    item.lse[t * item.heads] = w.top[t] + __builtin_logf(w.sum[t]);
    float* out = item.out + t * item.hidden;
    const V share = set1(1.f / w.sum[t]);
    for (int d = 0; d < dim; d += W) store(out + d, mul(load(out + d), share));
  }
}

// Scores and products with dout of a row become weights and the scores' gradients, times scale.
void gradient_row(const AttentionItem& item, const Workspace& w, const Bits& bits, int64_t i, int64_t r, int64_t k0,
                  int64_t used, int64_t n) {
  float *p = w.p + r * kScoreRow, *ds = w.ds + r * kScoreRow;
  if (item.bias != nullptr) add_bias(item, i, k0, used, p);
  const V scale = set1(item.bias != nullptr ? 1.f : item.scale), shift = set1(-item.lse[i * item.heads]),
          delta = set1(-w.delta[r]);
  for (int64_t j = 0; j < used; j += W) {
    const V e = first_or(vexp(fma(load(p + j), scale, shift)), static_cast<int>(least(used - j, W)), set1(0));
    const V g = load(ds + j);
    if (item.threshold > 0) {
      const V kept = bits.at(r, j);
      store(p + j, mul(e, kept));
      store(ds + j, mul(e, fma(g, kept, delta)));
    } else {
      store(p + j, e);
      store(ds + j, mul(e, add(g, delta)));
    }
  }
  if (item.dbias != nullptr) add_bias_gradient(item, i, k0, used, ds);
  for (int64_t j = 0; j < used; j += W) store(ds + j, mul(load(ds + j), set1(item.scale)));
  for (int64_t j = round_up(used, W); j < n; j += W) {
    store(p + j, set1(0));
    store(ds + j, set1(0));
  }
}

// q, dout and delta_i = dout_i . out_i of a tile of queries.
void load_queries(const AttentionItem& item, const Workspace& w, int64_t q0, int64_t rows) {
  const int dim = item.dim;
  pack(rows, dim, item.q + q0 * item.row, item.row, w.q);
  for (int64_t r = 0; r < rows; ++r) {
    const float *g = item.dout + (q0 + r) * item.hidden, *y = item.out + (q0 + r) * item.hidden;
    V sum = set1(0);
    for (int d = 0; d < dim; d += W) {
      const V x = load(g + d);
      store(w.dout + r * dim + d, x);
      sum = fma(x, load(y + d), sum);
    }
    w.delta[r] = lane_sum(sum);
  }
}

void backward(const AttentionItem& item, float* workspace) {
  const Workspace w(item.dim, item.length, workspace);
  Bits bits(item, w.bits);
  const int dim = item.dim;
  for (int64_t k0 = 0; k0 < item.length; k0 += kKeyTile) {
    const int64_t keys = least(kKeyTile, item.length - k0);
    const float *k = item.q + k0 * item.row + item.hidden, *v = k + item.hidden;
    float *dk = item.dq + k0 * item.row + item.hidden, *dv = dk + item.hidden;
    pack_transposed(keys, dim, k, item.row, w.kt);
    pack_transposed(keys, dim, v, item.row, w.vt);
    pack(keys, dim, k, item.row, w.k);
    if (item.causal)  // the first tile of queries does not reach every key
      for (int64_t j = 0; j < keys; ++j)
        for (int d = 0; d < dim; d += W) {
          store(dk + j * item.row + d, set1(0));
          store(dv + j * item.row + d, set1(0));
        }
    for (int64_t q0 = item.causal ? k0 : 0; q0 < item.length; q0 += kQueryTile) {
      const int64_t rows = least(kQueryTile, item.length - q0), n = item.causal ? least(keys, q0 + rows - k0) : keys,
                    wide = round_up(n, W);
      load_queries(item, w, q0, rows);
      product(rows, wide, dim, w.q, dim, 1, w.kt, kScoreRow, w.p, kScoreRow, false);
      product(rows, wide, dim, w.dout, dim, 1, w.vt, kScoreRow, w.ds, kScoreRow, false);
      if (item.threshold > 0) bits.fill(q0, rows, k0, keys);
      for (int64_t r = 0; r < rows; ++r) gradient_row(item, w, bits, q0 + r, r, k0, used_keys(item, q0 + r, k0, n), n);
      const bool more = item.causal || q0 > 0;
      product(n, dim, rows, w.p, 1, kScoreRow, w.dout, dim, dv, item.row, more);
      product(n, dim, rows, w.ds, 1, kScoreRow, w.q, dim, dk, item.row, more);
      product(rows, dim, n, w.ds, kScoreRow, 1, w.k, dim, item.dq + q0 * item.row, item.row, k0 > 0);
    }
  }
}

}  // namespace

#if defined(WINNOW_ISA_avx512)
const AttentionKernels* attention_kernels_avx512() {
#else
const AttentionKernels* attention_kernels_avx2() {
#endif
  static const AttentionKernels kernels = {forward, backward};
  return &kernels;
}

}  // namespace winnow::cpu
