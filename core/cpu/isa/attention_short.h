// Attention of a short sequence: all scores fit the L1 cache, and they are kept transposed, [keys, queries], so that a
// vector holds one key's scores of several queries. Maxima and sums over the keys are then plain vector operations, and
// only queries (and dout) are transposed; keys and values are read where they lie. Included only by attention.cpp.
#pragma once
#include "core/cpu/isa/attention_tiles.h"

namespace winnow::cpu {
namespace {

constexpr int64_t kShort = 64;
WN_INLINE bool is_short(const AttentionItem& item) { return item.length <= kShort && item.bias == nullptr; }

struct ShortWorkspace {
  float *p, *ds, *qt, *doutt, *lse, *delta;
  uint16_t* bits;
  ShortWorkspace(int dim, float* at)
      : p(at),
        ds(p + kShort * kScoreRow),
        qt(ds + kShort * kScoreRow),
        doutt(qt + dim * kScoreRow),
        lse(doutt + dim * kScoreRow),
        delta(lse + kShort),
        bits(reinterpret_cast<uint16_t*>(delta + kShort)) {}
};
static_assert(kShort <= kQueryTile, "the workspace holds a tile of queries");

// What multiplies the weights of key j for the queries i ..: 0 or the scale. Bits of a query's keys lie side by side.
WN_INLINE V kept_weights(const AttentionItem& item, const uint16_t* bits, int64_t i, int64_t j) {
  const int64_t width = round_up(item.length, 8);
  return keep_strided(bits + i * width + j, static_cast<int>(width), item.threshold, set1(item.keep_scale));
}
WN_INLINE void fill_short(const AttentionItem& item, uint16_t* bits) {
  const int64_t first = static_cast<int64_t>(item.first_element / 64), n = item.length * round_up(item.length, 8);
  for (int64_t g = 0; 64 * g < n; ++g) item.fill(item.fill_state, first + g, bits + 64 * g);
}
// Of key j, for the queries i ..: those before it do not see it.
WN_INLINE V seen(const AttentionItem& item, int64_t i, int64_t j, V x, V rest) {
  return item.causal && j > i ? first_or(rest, static_cast<int>(least(j - i, W)), x) : x;
}

// Scores of the queries i .. over all keys become weights.
WN_INLINE void weigh_columns(const AttentionItem& item, const ShortWorkspace& w, int64_t i) {
  float* p = w.p + i;
  const V low = set1(kMinusInfinity), scale = set1(item.scale);
  V most = low;
  for (int64_t j = 0; j < item.length; ++j) most = max(most, seen(item, i, j, load(p + j * kScoreRow), low));
  const V shift = mul(most, set1(-item.scale));
  V sum = set1(0);
  for (int64_t j = 0; j < item.length; ++j) {
    const V e = seen(item, i, j, vexp(fma(load(p + j * kScoreRow), scale, shift)), set1(0));
    sum = add(sum, e);
    store(p + j * kScoreRow, e);
  }
  const V share = div(set1(1), sum);
  for (int64_t j = 0; j < item.length; ++j) {
    const V weight = mul(load(p + j * kScoreRow), share);
    store(p + j * kScoreRow, item.threshold > 0 ? mul(weight, kept_weights(item, w.bits, i, j)) : weight);
  }
  store(w.lse + i, add(vlog(sum), mul(shift, set1(-1))));
}

void forward_short(const AttentionItem& item, float* workspace) {
  const ShortWorkspace w(item.dim, workspace);
  const int64_t n = item.length;
  const int dim = item.dim;
  pack_transposed(n, dim, item.q, item.row, w.qt);
  if (item.threshold > 0) fill_short(item, w.bits);
  product(n, round_up(n, W), dim, item.q + item.hidden, item.row, 1, w.qt, kScoreRow, w.p, kScoreRow, false);
  for (int64_t i = 0; i < n; i += W) weigh_columns(item, w, i);
  product(n, dim, n, w.p, 1, kScoreRow, item.q + 2 * item.hidden, item.row, item.out, item.hidden, false);
  for (int64_t i = 0; i < n; ++i) item.lse[i * item.heads] = w.lse[i];
}

// Scores and products with dout of the queries i .. become weights and the scores' gradients, times scale.
WN_INLINE void gradient_columns(const AttentionItem& item, const ShortWorkspace& w, int64_t i) {
  float *p = w.p + i, *ds = w.ds + i;
  const V scale = set1(item.scale), shift = mul(load(w.lse + i), set1(-1)), delta = mul(load(w.delta + i), set1(-1));
  for (int64_t j = 0; j < item.length; ++j, p += kScoreRow, ds += kScoreRow) {
    const V e = seen(item, i, j, vexp(fma(load(p), scale, shift)), set1(0)), g = load(ds);
    if (item.threshold > 0) {
      const V kept = kept_weights(item, w.bits, i, j);
      store(p, mul(e, kept));
      store(ds, mul(mul(e, scale), fma(g, kept, delta)));
    } else {
      store(p, e);
      store(ds, mul(mul(e, scale), add(g, delta)));
    }
  }
}

void backward_short(const AttentionItem& item, float* workspace) {
  const ShortWorkspace w(item.dim, workspace);
  const int64_t n = item.length, wide = round_up(n, W), h = item.hidden, row = item.row;
  const int dim = item.dim;
  const float *k = item.q + h, *v = k + h;
  pack_transposed(n, dim, item.q, row, w.qt);
  pack_transposed(n, dim, item.dout, h, w.doutt);
  for (int64_t i = 0; i < wide; ++i) {
    V sum = set1(0);
    for (int d = 0; i < n && d < dim; d += W) sum = fma(load(item.dout + i * h + d), load(item.out + i * h + d), sum);
    w.delta[i] = lane_sum(sum);
    w.lse[i] = i < n ? item.lse[i * item.heads] : 0.f;
  }
  if (item.threshold > 0) fill_short(item, w.bits);
  product(n, wide, dim, k, row, 1, w.qt, kScoreRow, w.p, kScoreRow, false);
  product(n, wide, dim, v, row, 1, w.doutt, kScoreRow, w.ds, kScoreRow, false);
  for (int64_t i = 0; i < n; i += W) gradient_columns(item, w, i);
  product(n, dim, n, w.p, kScoreRow, 1, item.dout, h, item.dq + 2 * h, row, false);
  product(n, dim, n, w.ds, kScoreRow, 1, item.q, row, item.dq + h, row, false);
  product(n, dim, n, w.ds, 1, kScoreRow, k, row, item.dq, row, false);
}

}  // namespace
}  // namespace winnow::cpu
