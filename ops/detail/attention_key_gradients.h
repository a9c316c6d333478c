// The gradients of keys and values, of bf16 factors, by tiles of keys (kernels only).
#pragma once
#include "ops/detail/attention_gradient.h"
#include "ops/detail/attention_weights.h"

namespace winnow::detail {

template <class R>
constexpr int kQueries = R::kDim <= 64 ? 32 : 16;  // at a time: what registers allow

// What is known of the queries of a tile beside their vectors, in shared memory.
template <int kTile>
struct Queries {
  float statistics[2][kTile];        // lse in powers of two, delta
  uint32_t kept[kTile][kTile / 32];  // weights of the block's keys
};

template <class R>
__device__ void find_kept(const WarpWeights<true>& weights, int first_key, int query, Queries<R::kTile>& to) {
#pragma unroll 1
  for (int i = static_cast<int>(threadIdx.x) / 4; i < R::kTile; i += R::kThreads / 4) {
    KeptRow row = weights.kept_row(query + i, first_key);
#pragma unroll
    for (int word = 0; word < R::kTile / 32; ++word) {
      const uint32_t bits = row.next(weights.a);
      if (threadIdx.x % 4 == 0) to.kept[i][word] = bits;
    }
  }
}

// A chunk of queries from place `chunk` of their tile on.
template <class R>
__device__ void add_queries(const WarpWeights<true>& weights, const Queries<R::kTile>& known, int chunk,
                            const OwnFactors<R>& keys, const OwnFactors<R>& values, const bf16* queries,
                            const bf16* dys, typename R::Sums& of_keys, typename R::Sums& of_values) {
  constexpr int kPairs = kQueries<R> / 8;
  const AttentionArgs& a = weights.a;
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const int column = chunk + lane % 4 * 2;
  float w[kPairs][4], x[kPairs][4];
  unsigned bits = 0;  // bit 4 n + i: weight s[n][i] is kept
  keys.products(queries, w);
  weights.scores(w);
#pragma unroll
  for (int n = 0; n < kPairs; ++n)
#pragma unroll
    for (int e = 0; e < 2; ++e) {
      const int query = column + 8 * n + e;
      const uint32_t kept = a.threshold > 0 ? known.kept[query][warp / 2] >> (warp % 2 * 16 + lane / 4) : ~0u;
      bits |= (kept & 1u) << (4 * n + e) | (kept >> 8 & 1u) << (4 * n + 2 + e);
      w[n][e] = cuda::exp2_fast(w[n][e] - known.statistics[0][query]);
      w[n][2 + e] = cuda::exp2_fast(w[n][2 + e] - known.statistics[0][query]);
    }
  weights.clear(w, 0);
  const auto kept = [&](int n, int i) { return (bits >> (4 * n + i) & 1u) != 0 ? a.keep_scale : 0.0f; };
#pragma unroll
  for (int n = 0; n < kPairs; ++n)
#pragma unroll
    for (int i = 0; i < 4; ++i) x[n][i] = w[n][i] * kept(n, i);
  accumulate<R>(x, dys, of_values);
  values.products(dys, x);
#pragma unroll
  for (int n = 0; n < kPairs; ++n)
#pragma unroll
    for (int i = 0; i < 4; ++i)
      x[n][i] = w[n][i] * (x[n][i] * kept(n, i) - known.statistics[1][column + 8 * n + i % 2]);
  weights.clear(x, 0);
  accumulate<R>(x, queries, of_keys);
}

template <class R>
__global__ void __launch_bounds__(R::kThreads, R::kKeyBlocks) key_gradients_bf16(RoundedArgs a, RoundedGradients g) {
  constexpr int kTile = R::kTile;
  WN_SHARED_DYN(bf16, shared);
  WN_SHARED(Queries<kTile>, known, [2]);
  bf16 *const keys = shared, *const values = keys + R::kElements, *const queries = values + R::kElements,
              *const dys = queries + 2 * R::kElements;
  const OwnTile t = own_tile<kTile>(a);
  const int head = static_cast<int>(blockIdx.y), thread = static_cast<int>(threadIdx.x);
  const int64_t hidden = a.hidden(), row = 3 * hidden;
  const int64_t dk = hidden + head * a.dim;  // in a row of the gradient
  if (t.length == 0) return;
  if (t.part == 0 || t.part > a.sequences) {
    clear_rows<R>(t, row, a.dim, g.dqkv, dk);
    return clear_rows<R>(t, row, a.dim, g.dqkv, dk + hidden);
  }
  WarpWeights<true> weights(a, t, head);
  const bf16* const q = a.rounded + t.begin * row + head * a.dim;
  const auto fetch = [&](int query, int stage) {
    R::load(q + query * row, row, t.length - query, a, queries + stage * R::kElements);
    R::load(g.dy + (t.begin + query) * hidden + head * a.dim, hidden, t.length - query, a, dys + stage * R::kElements);
    if (a.threshold > 0) find_kept<R>(weights, t.first, query, known[stage]);
  };
  // The thread's one of the 2 kTile statistics.
  const auto statistic = [&](int query) {
    const int64_t at = (t.begin + query + thread % kTile) * a.heads + head;
    if (query + thread % kTile >= t.length) return 0.0f;
    return thread < kTile ? g.lse[at] * kLog2E : g.delta[at];
  };
  R::load(q + t.first * row + hidden, row, t.length - t.first, a, keys);
  R::load(q + t.first * row + 2 * hidden, row, t.length - t.first, a, values);
  const int start = a.causal ? t.first : 0;
  fetch(start, 0);
  known[0].statistics[thread / kTile][thread % kTile] = statistic(start);
  R::arrive();
  __syncthreads();
  const OwnFactors<R> own_keys(keys), own_values(values);
  float of_keys[R::kDim / 8][4] = {}, of_values[R::kDim / 8][4] = {};
  for (int query = start, stage = 0; query < t.length; query += kTile, stage ^= 1) {
    const bool more = query + kTile < t.length;
    const float next = more ? statistic(query + kTile) : 0.0f;
    if (more) fetch(query + kTile, stage ^ 1);
#pragma unroll 1
    for (int chunk = 0; chunk < kTile && query + chunk < t.length && !weights.idle(); chunk += kQueries<R>) {
      const int at = (stage * kTile + chunk) * R::kPitch;
      weights.move(query + chunk, kQueries<R>);
      add_queries<R>(weights, known[stage], chunk, own_keys, own_values, queries + at, dys + at, of_keys, of_values);
    }
    if (more) known[stage ^ 1].statistics[thread / kTile][thread % kTile] = next;
    R::arrive();
    __syncthreads();
  }
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    if (weights.own + 8 * r >= t.length) continue;
    const int64_t to = dk + (t.begin + weights.own + 8 * r) * row;
    write_row<R>(of_keys, r, a.scale, a, g.dqkv, to);
    write_row<R>(of_values, r, 1.0f, a, g.dqkv, to + hidden);
  }
}

}  // namespace winnow::detail
