// The gradient of queries, of bf16 factors, by tiles of queries; on the way that of the bias (kernels only).
#pragma once
#include "ops/detail/attention_diagonals.h"
#include "ops/detail/attention_gradient.h"
#include "ops/detail/attention_weights.h"

namespace winnow::detail {

constexpr int kChunk = 32, kPairs = kChunk / 8;  // keys at a time
constexpr int kScorePitch = kChunk + 8;          // of score gradients in shared memory, for the bias
template <class R>
constexpr size_t kScoreBytes = R::kTile* kScorePitch * sizeof(float);

// The thread's part of sum_d dy y.
template <class T>
__device__ float part_of_delta(int dim, const bf16* dy, const T* y) {
  const int t = static_cast<int>(threadIdx.x) % 4;
  float sum = 0;
  if (dim % 4 != 0) {
    for (int d = t; d < dim; d += 4) sum = fmaf(cuda::to_float(dy[d]), cuda::to_float(y[d]), sum);
    return sum;
  }
  for (int d = 4 * t; d < dim; d += 16) {
    const auto g = cuda::load_floats<4>(dy + d), row = cuda::load_floats<4>(y + d);
#pragma unroll
    for (int e = 0; e < 4; ++e) sum = fmaf(g.v[e], row.v[e], sum);
  }
  return sum;
}

struct OwnQueries {
  float lse[2], delta[2];  // of the thread's rows; lse in powers of two
  KeptRow kept[2];
};

// Gradients of the scores of a warp's queries and a chunk of keys.
template <class R>
__device__ void score_gradients(const WarpWeights<false>& weights, const OwnFactors<R>& queries,
                                const OwnFactors<R>& dys, const bf16* keys, const bf16* values, OwnQueries& own,
                                float (&ds)[kPairs][4]) {
  const AttentionArgs& a = weights.a;
  float w[kPairs][4];
  queries.products(keys, w);
  dys.products(values, ds);
  weights.scores(w);
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const uint32_t kept = a.threshold > 0 ? own.kept[r].next(a) >> (threadIdx.x % 4 * 2) : ~0u;
#pragma unroll
    for (int n = 0; n < kPairs; ++n)
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        float& x = ds[n][2 * r + e];
        x *= (kept >> (8 * n + e) & 1u) != 0 ? a.keep_scale : 0.0f;
        x = cuda::exp2_fast(w[n][2 * r + e] - own.lse[r]) * (x - own.delta[r]);
      }
  }
  weights.clear(ds, 0);
}

template <class R>
__device__ void put(const float (&ds)[kPairs][4], float* scores) {
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  scores += (16 * warp + lane / 4) * kScorePitch + lane % 4 * 2;
#pragma unroll
  for (int n = 0; n < kPairs; ++n)
#pragma unroll
    for (int r = 0; r < 2; ++r)
      *reinterpret_cast<float2*>(scores + 8 * r * kScorePitch + 8 * n) = make_float2(ds[n][2 * r], ds[n][2 * r + 1]);
}

template <class R>
__device__ OwnQueries own_queries(const RoundedArgs& a, const RoundedGradients& g, const OwnTile& t,
                                  const WarpWeights<false>& weights, int head, const bf16* dys) {
  OwnQueries own;
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const int query = weights.own + 8 * r;
    const bool inside = query < t.length;
    const int64_t token = t.begin + query, at = token * a.heads + head;
    float delta = 0;
    const bf16* const dy = dys + (query - t.first) * R::kPitch;
    const int64_t of_y = token * a.hidden() + head * a.dim;
    if (inside)
      delta = g.y.low ? part_of_delta(a.dim, dy, static_cast<const bf16*>(g.y.data) + of_y)
                      : part_of_delta(a.dim, dy, static_cast<const float*>(g.y.data) + of_y);
    own.delta[r] = across_quad(delta, cuda::Sum());
    own.lse[r] = inside ? g.lse[at] * kLog2E : 0.0f;
    if (inside && threadIdx.x % 4 == 0) g.delta[at] = own.delta[r];
    if (a.threshold > 0) own.kept[r] = weights.kept_row(query, 0);
  }
  return own;
}

template <class R>
__global__ void __launch_bounds__(R::kThreads, R::kQueryBlocks)
    query_gradients_bf16(RoundedArgs a, RoundedGradients g) {
  constexpr int kTile = R::kTile;
  WN_SHARED_DYN(bf16, shared);
  WN_SHARED(float, diagonals, [kTile + kChunk]);
  bf16 *const queries = shared, *const dys = queries + R::kElements, *const keys = dys + R::kElements,
              *const values = keys + 2 * R::kElements;
  float* const scores = reinterpret_cast<float*>(values + 2 * R::kElements);
  const OwnTile t = own_tile<kTile>(a);
  const int head = static_cast<int>(blockIdx.y), width = 2 * a.reach + 1;
  const int64_t hidden = a.hidden(), row = 3 * hidden;
  float* const part = g.parts == nullptr ? nullptr : g.parts + (int64_t{blockIdx.x} * a.heads + head) * width;
  if (part != nullptr)
    for (int i = static_cast<int>(threadIdx.x); i < width; i += R::kThreads) part[i] = 0;
  if (t.length == 0) return;
  if (t.part == 0 || t.part > a.sequences) return clear_rows<R>(t, row, a.dim, g.dqkv, int64_t{head} * a.dim);
  const bf16* const q = a.rounded + t.begin * row + head * a.dim;
  const auto fetch = [&](int key, int stage) {
    R::load(q + key * row + hidden, row, t.length - key, a, keys + stage * R::kElements);
    R::load(q + key * row + 2 * hidden, row, t.length - key, a, values + stage * R::kElements);
  };
  R::load(q + t.first * row, row, t.length - t.first, a, queries);
  R::load(g.dy + (t.begin + t.first) * hidden + head * a.dim, hidden, t.length - t.first, a, dys);
  fetch(0, 0);
  R::arrive();
  __syncthreads();
  WarpWeights<false> weights(a, t, head);
  OwnQueries own = own_queries<R>(a, g, t, weights, head, dys);
  const OwnFactors<R> query_factors(queries), dy_factors(dys);
  float sum[R::kDim / 8][4] = {};
  const int last = a.causal && t.first + kTile < t.length ? t.first + kTile : t.length;
  for (int key = 0, stage = 0; key < last; key += kTile, stage ^= 1) {
    if (key + kTile < last) fetch(key + kTile, stage ^ 1);
#pragma unroll 1
    for (int chunk = 0; chunk < kTile && key + chunk < last; chunk += kChunk) {
      const int at = (stage * kTile + chunk) * R::kPitch;
      float ds[kPairs][4] = {};
      if (!weights.idle()) {
        weights.move(key + chunk, kChunk);
        score_gradients<R>(weights, query_factors, dy_factors, keys + at, values + at, own, ds);
        accumulate<R>(ds, keys + at, sum);
      }
      if (part == nullptr) continue;
      put<R>(ds, scores);
      __syncthreads();
      const auto element = [&](int i, int j) { return scores[i * kScorePitch + j]; };
      add_diagonals<kTile, kChunk, R::kThreads>(a.reach, key + chunk - t.first, element, diagonals, part);
      __syncthreads();
    }
    R::arrive();
    __syncthreads();
  }
#pragma unroll
  for (int r = 0; r < 2; ++r)
    if (weights.own + 8 * r < t.length)
      write_row<R>(sum, r, a.scale, a, g.dqkv, (t.begin + weights.own + 8 * r) * row + head * a.dim);
}

}  // namespace winnow::detail
