// jagged_attention_grad on CUDA devices: the weights again from lse, once by tiles of queries for their gradient (and
// the bias's), once by tiles of keys for those of keys and values: every element is one thread's sum, in one order.
// Bound by f32 multiply-adds: seven products where saved weights would need four.
#include "core/cuda/reduce.h"
#include "ops/detail/attention_corner.h"
#include "ops/detail/attention_diagonals.h"
#include "ops/detail/attention_gradient.h"
#include "ops/jagged_attention.h"

namespace winnow {
namespace {

using namespace detail;

using Gradients = AttentionGradients<float, const float*, float*>;
using Plan = GradientPlan<Attention>;

template <class A>
struct Backward {
  static constexpr size_t kBytes = (4 * A::kVectors + A::kWeights) * sizeof(float);
};

// delta of the thread's own tokens; dy is a tile in shared memory.
template <class A>
__device__ void deltas(const A& thread, const AttentionArgs& a, const OwnTile& t, int own, int head, const float* dy,
                       const float* y, float (&delta)[A::kRows]) {
#pragma unroll
  for (int r = 0; r < A::kRows; ++r) {
    float sum = 0;
    if (own + r < t.length) {
      const float* row = y + (t.begin + own + r) * a.hidden() + head * a.dim;
      for (int d = thread.tx; d < a.dim; d += A::kAcross)
        sum = fmaf(dy[(r * A::kDown + thread.ty) * A::kPitch + d], row[d], sum);
    }
    delta[r] = thread.across(sum, cuda::Sum());
  }
}

template <class A>
__global__ void __launch_bounds__(A::kThreads, A::kGradientBlocks) query_gradients(AttentionArgs a, Gradients g) {
  constexpr int kTile = A::kTile;
  WN_SHARED_DYN(float, shared);
  WN_SHARED(float, diagonals, [2 * kTile]);
  float *const queries = shared, *const dys = queries + A::kVectors, *const keys = dys + A::kVectors,
               *const values = keys + A::kVectors, *const weights = values + A::kVectors;
  const OwnTile t = own_tile<kTile>(a);
  const int head = static_cast<int>(blockIdx.y), width = 2 * a.reach + 1;
  const int64_t hidden = a.hidden(), row = 3 * hidden;
  float* const part = g.parts == nullptr ? nullptr : g.parts + (int64_t{blockIdx.x} * a.heads + head) * width;
  if (part != nullptr)
    for (int i = static_cast<int>(threadIdx.x); i < width; i += A::kThreads) part[i] = 0;
  if (t.length == 0) return;
  if (t.part == 0 || t.part > a.sequences) return A::clear(t, row, a.dim, g.dqkv + head * a.dim);
  const float* const q = a.qkv + t.begin * row + head * a.dim;
  A::template load<true>(q + t.first * row, row, t.length - t.first, a, queries);
  A::template load<true>(g.dy + (t.begin + t.first) * hidden + head * a.dim, hidden, t.length - t.first, a, dys);
  A::arrive();
  __syncthreads();
  const A thread = A::of_thread();
  Corner<A, false> corner(a, t, head, thread);
  float delta[A::kRows], lse[A::kRows], sum[A::kRows][A::kColumns] = {};
  deltas(thread, a, t, corner.own, head, dys, g.y, delta);
#pragma unroll
  for (int r = 0; r < A::kRows; ++r) {
    const int64_t at = (t.begin + corner.own + r) * a.heads + head;
    const bool inside = corner.own + r < t.length;
    lse[r] = inside ? g.lse[at] : 0.0f;
    if (inside && thread.tx == 0) g.delta[at] = delta[r];
  }
  const int last = a.causal && t.first + kTile < t.length ? t.first + kTile : t.length;
  for (int key = 0; key < last; key += kTile) {
    __syncthreads();
    A::template load<false>(q + key * row + hidden, row, t.length - key, a, keys);
    A::template load<false>(q + key * row + 2 * hidden, row, t.length - key, a, values);
    A::arrive();
    __syncthreads();
    float w[A::kRows][4], ds[A::kRows][4];
    thread.products(queries, keys, w);
    thread.products(dys, values, ds);
    corner.move(key, thread);
    corner.scores(w);
    corner.drop(ds, corner.kept());
#pragma unroll
    for (int r = 0; r < A::kRows; ++r)
#pragma unroll
      for (int c = 0; c < 4; ++c) ds[r][c] = expf(w[r][c] - lse[r]) * (ds[r][c] - delta[r]);
    corner.clear(ds, 0);
    thread.put(ds, weights);
    __syncwarp();
    thread.accumulate(weights, keys, last - key < kTile ? last - key : kTile, sum);
    if (part == nullptr) continue;
    __syncthreads();
    const auto element = [&](int i, int j) { return weights[A::own_place(i) * A::kWeightPitch + j]; };
    add_diagonals<kTile, kTile, A::kThreads>(a.reach, key - t.first, element, diagonals, part);
  }
#pragma unroll
  for (int r = 0; r < A::kRows; ++r)
    if (corner.own + r < t.length)
      thread.write(sum[r], a.scale, a, g.dqkv + (t.begin + corner.own + r) * row + head * a.dim);
}

template <class A>
__global__ void __launch_bounds__(A::kThreads, A::kGradientBlocks) key_gradients(AttentionArgs a, Gradients g) {
  constexpr int kTile = A::kTile;
  WN_SHARED_DYN(float, shared);
  WN_SHARED(float, statistics, [2][kTile]);  // lse, delta
  float *const keys = shared, *const values = keys + A::kVectors, *const queries = values + A::kVectors,
               *const dys = queries + A::kVectors, *const weights = dys + A::kVectors;
  const OwnTile t = own_tile<kTile>(a);
  const int head = static_cast<int>(blockIdx.y);
  const int64_t hidden = a.hidden(), row = 3 * hidden;
  float* const dk = g.dqkv + hidden + head * a.dim;
  if (t.length == 0) return;
  if (t.part == 0 || t.part > a.sequences) {
    A::clear(t, row, a.dim, dk);
    return A::clear(t, row, a.dim, dk + hidden);
  }
  const float* const q = a.qkv + t.begin * row + head * a.dim;
  A::template load<true>(q + t.first * row + hidden, row, t.length - t.first, a, keys);
  A::template load<true>(q + t.first * row + 2 * hidden, row, t.length - t.first, a, values);
  const A thread = A::of_thread();
  Corner<A, true> corner(a, t, head, thread);
  float of_keys[A::kRows][A::kColumns] = {}, of_values[A::kRows][A::kColumns] = {};
  for (int query = a.causal ? t.first : 0; query < t.length; query += kTile) {
    const int count = t.length - query < kTile ? t.length - query : kTile;
    __syncthreads();
    A::template load<false>(q + query * row, row, count, a, queries);
    A::template load<false>(g.dy + (t.begin + query) * hidden + head * a.dim, hidden, count, a, dys);
    for (int i = static_cast<int>(threadIdx.x); i < kTile; i += A::kThreads) {
      const int64_t at = (t.begin + query + i) * a.heads + head;
      statistics[0][i] = i < count ? g.lse[at] : 0.0f;
      statistics[1][i] = i < count ? g.delta[at] : 0.0f;
    }
    A::arrive();
    __syncthreads();
    corner.move(query, thread);
    const unsigned kept = corner.kept();
    const float4 lse = *reinterpret_cast<const float4*>(&statistics[0][4 * thread.tx]),
                 delta = *reinterpret_cast<const float4*>(&statistics[1][4 * thread.tx]);
    const float lses[4] = {lse.x, lse.y, lse.z, lse.w}, deltas[4] = {delta.x, delta.y, delta.z, delta.w};
    float w[A::kRows][4], x[A::kRows][4];
    thread.products(keys, queries, w);
    corner.scores(w);
#pragma unroll
    for (int r = 0; r < A::kRows; ++r)
#pragma unroll
      for (int c = 0; c < 4; ++c) w[r][c] = expf(w[r][c] - lses[c]);
    corner.clear(w, 0);
#pragma unroll
    for (int r = 0; r < A::kRows; ++r)
#pragma unroll
      for (int c = 0; c < 4; ++c) x[r][c] = w[r][c];
    corner.drop(x, kept);
    thread.put(x, weights);
    __syncwarp();
    thread.accumulate(weights, dys, count, of_values);
    thread.products(values, dys, x);
    corner.drop(x, kept);
#pragma unroll
    for (int r = 0; r < A::kRows; ++r)
#pragma unroll
      for (int c = 0; c < 4; ++c) x[r][c] = w[r][c] * (x[r][c] - deltas[c]);
    corner.clear(x, 0);
    __syncwarp();
    thread.put(x, weights);
    __syncwarp();
    thread.accumulate(weights, queries, count, of_keys);
  }
#pragma unroll
  for (int r = 0; r < A::kRows; ++r) {
    if (corner.own + r >= t.length) continue;
    float* const to = dk + (t.begin + corner.own + r) * row;
    thread.write(of_keys[r], a.scale, a, to);
    thread.write(of_values[r], 1.0f, a, to + hidden);
  }
}

void prepare(const NodeSpec& node, Prepare& p) {
  const Plan& plan = p.state<Plan>(node);
  p.scratch(plan.scratch_bytes());
  visit_tile<Attention>(plan.spec, []<class A>(A) {
    allow_shared(query_gradients<A>, Backward<A>::kBytes);
    allow_shared(key_gradients<A>, Backward<A>::kBytes);
  });
}

void run(const Call& c) {
  const auto& plan = c.state<Plan>();
  const AttentionSpec& s = plan.spec;
  const Gradients g = plan.gradients<float>(c, c.in<float>(3), c.out<float>(0));
  visit_tile<Attention>(s, [&]<class A>(A) {
    const AttentionArgs a(s, c);
    const dim3 grid = attention_grid(s, A::kTile);
    cuda::run(c, query_gradients<A>, grid, A::kThreads, Backward<A>::kBytes, a, g);
    cuda::run(c, key_gradients<A>, grid, A::kThreads, Backward<A>::kBytes, a, g);
  });
  add_up_parts(plan, c);
}

}  // namespace

void register_jagged_attention_grad_cuda(Registry& r) {
  r.add_kernel(
      "jagged_attention_grad",
      {.name = "tiled", .device = Device::CUDA, .reject = reject_attention<true>, .prepare = prepare, .run = run});
}

}  // namespace winnow
