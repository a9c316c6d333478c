// jagged_attention on CUDA devices: softmax row by row as tiles of keys come (Milakov and Gimelshein 2018; Dao et al.
// 2022), so that no score reaches memory. Bound by f32 multiply-adds.
#include "core/cuda/reduce.h"
#include "ops/detail/attention_corner.h"
#include "ops/detail/attention_launch.h"
#include "ops/jagged_attention.h"

namespace winnow {
namespace {

using namespace detail;

constexpr float kInf = std::numeric_limits<float>::infinity();

struct Larger {  // leaves NaN out: its weight becomes NaN instead
  __device__ float operator()(float a, float b) const { return a < b ? b : a; }
};

// Scores of a tile, -inf where there is no weight -> weights e^(score - top); what was summed up under an older top is
// scaled.
template <class A>
__device__ void softmax_step(const A& thread, float (&s)[A::kRows][4], float (&top)[A::kRows], float (&total)[A::kRows],
                             float (&y)[A::kRows][A::kColumns]) {
#pragma unroll
  for (int r = 0; r < A::kRows; ++r) {
    float largest = -kInf;
#pragma unroll
    for (int c = 0; c < 4; ++c) largest = Larger()(largest, s[r][c]);
    largest = Larger()(top[r], thread.across(largest, Larger()));
    const float shift = largest == -kInf ? 0.0f : largest, old = expf(top[r] - shift);
    top[r] = largest;
    total[r] *= old;
#pragma unroll
    for (int c = 0; c < A::kColumns; ++c) y[r][c] *= old;
#pragma unroll
    for (int c = 0; c < 4; ++c) {
      s[r][c] = expf(s[r][c] - shift);
      total[r] += s[r][c];
    }
  }
}

template <class A>
struct Forward {
  // The weights take the keys' place where they fit: one block more on a multiprocessor.
  static constexpr bool kShares = A::kWeights <= A::kVectors;
  static constexpr size_t kBytes = (3 * A::kVectors + (kShares ? 0 : A::kWeights)) * sizeof(float);
};

template <class A>
__global__ void __launch_bounds__(A::kThreads, A::kBlocks) attend(AttentionArgs a, float* y, float* lse) {
  constexpr bool kShares = Forward<A>::kShares;
  constexpr int kTile = A::kTile;
  WN_SHARED_DYN(float, shared);
  float *const queries = shared, *const keys = queries + A::kVectors, *const values = keys + A::kVectors,
               *const weights = kShares ? keys : values + A::kVectors;
  const OwnTile t = own_tile<kTile>(a);
  const int head = static_cast<int>(blockIdx.y);
  const int64_t hidden = a.hidden(), row = 3 * hidden;
  if (t.length == 0) return;
  if (t.part == 0 || t.part > a.sequences) {
    A::clear(t, hidden, a.dim, y + head * a.dim);
    return A::clear(t, a.heads, 1, lse + head);
  }
  const float* const q = a.qkv + t.begin * row + head * a.dim;
  A::template load<true>(q + t.first * row, row, t.length - t.first, a, queries);
  const A thread = A::of_thread();
  Corner<A, false> corner(a, t, head, thread);
  float sum[A::kRows][A::kColumns] = {}, top[A::kRows], total[A::kRows] = {};
#pragma unroll
  for (int r = 0; r < A::kRows; ++r) top[r] = -kInf;
  const int last = a.causal && t.first + kTile < t.length ? t.first + kTile : t.length;
  for (int key = 0; key < last; key += kTile) {
    __syncthreads();
    A::template load<false>(q + key * row + hidden, row, t.length - key, a, keys);
    A::template load<false>(q + key * row + 2 * hidden, row, t.length - key, a, values);
    A::arrive();
    __syncthreads();
    float s[A::kRows][4];
    thread.products(queries, keys, s);
    corner.move(key, thread);
    corner.scores(s);
    corner.clear(s, -kInf);
    softmax_step(thread, s, top, total, sum);
    corner.drop(s, corner.kept());
    if (kShares) __syncthreads();
    thread.put(s, weights);
    __syncwarp();
    thread.accumulate(weights, values, last - key < kTile ? last - key : kTile, sum);
  }
#pragma unroll
  for (int r = 0; r < A::kRows; ++r) {
    const float all = thread.across(total[r], cuda::Sum());
    if (corner.own + r >= t.length) continue;
    const int64_t token = t.begin + corner.own + r;
    thread.write(sum[r], 1.0f / all, a, y + token * hidden + head * a.dim);
    if (thread.tx == 0) lse[token * a.heads + head] = top[r] + (all > 0 ? logf(all) : 0.0f / 0.0f * all);
  }
}

void prepare(const NodeSpec& node, Prepare& p) {
  const AttentionSpec& s = p.state<AttentionSpec>(attention_spec(node, false));
  visit_tile<Attention>(s, []<class A>(A) { allow_shared(attend<A>, Forward<A>::kBytes); });
}
void run(const Call& c) {
  const auto& s = c.state<AttentionSpec>();
  if (s.tokens == 0) return;
  visit_tile<Attention>(s, [&]<class A>(A) {
    cuda::run(c, attend<A>, attention_grid(s, A::kTile), A::kThreads, Forward<A>::kBytes, AttentionArgs(s, c),
              c.out<float>(0), c.out<float>(1));
  });
}

}  // namespace

void register_jagged_attention_cuda(Registry& r) {
  r.add_kernel(
      "jagged_attention",
      {.name = "tiled", .device = Device::CUDA, .reject = reject_attention<false>, .prepare = prepare, .run = run});
}

}  // namespace winnow
