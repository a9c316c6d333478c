// Compiled once per instruction set, as sgemm_kernels.cpp is, and under the same rule: no inline function of the
// standard library. A tile of keys is packed once and meets every tile of queries: packed qkv rows lie 3 hidden floats
// apart and would share a few sets of the L1 cache.
#include "core/cpu/isa/attention_short.h"

namespace winnow::cpu {
namespace {

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
  if (is_short(item)) return forward_short(item, workspace);
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
  if (is_short(item)) return backward_short(item, workspace);
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
