// jagged_attention of bf16 factors on tensor cores (Dao 2023, "FlashAttention-2"): scores and softmax in registers, the
// weights rounded to bf16 as the left factor of the product with the values. The next tile of keys and values is on its
// way meanwhile.
#include "core/cuda/reduce.h"
#include "ops/detail/attention_launch.h"
#include "ops/detail/attention_weights.h"
#include "ops/jagged_attention.h"

namespace winnow {
namespace {

using namespace detail;

constexpr float kInf = std::numeric_limits<float>::infinity();

struct Larger {  // leaves NaN out: its weight becomes NaN instead
  __device__ float operator()(float a, float b) const { return fmaxf(a, b); }
};

// Scores, -inf where there is no weight -> weights 2^(score - top); what was summed up under an older top is scaled.
template <int N, int kSums>
__device__ void softmax_step(float (&s)[N][4], float (&top)[2], float (&total)[2], float (&y)[kSums][4]) {
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    float largest = top[r];
#pragma unroll
    for (int n = 0; n < N; ++n) largest = fmaxf(largest, fmaxf(s[n][2 * r], s[n][2 * r + 1]));
    largest = across_quad(largest, Larger());
    const float shift = largest == -kInf ? 0.0f : largest, old = cuda::exp2_fast(top[r] - shift);
    top[r] = largest;
    total[r] *= old;
#pragma unroll
    for (int n = 0; n < kSums; ++n)
#pragma unroll
      for (int e = 2 * r; e < 2 * r + 2; ++e) y[n][e] *= old;
#pragma unroll
    for (int n = 0; n < N; ++n)
#pragma unroll
      for (int e = 2 * r; e < 2 * r + 2; ++e) {
        s[n][e] = cuda::exp2_fast(s[n][e] - shift);
        total[r] += s[n][e];
      }
  }
}

// The kept weights of the thread's two queries; their scale is left to the end.
template <int N>
__device__ void drop(const WarpWeights<false>& weights, KeptRow (&rows)[2], float (&s)[N][4]) {
  const unsigned column = threadIdx.x % 4 * 2;
#pragma unroll
  for (int r = 0; r < 2; ++r)
#pragma unroll
    for (int word = 0; word < N / 4; ++word) {
      const uint32_t kept = rows[r].next(weights.a) >> column;
#pragma unroll
      for (int n = 0; n < 4; ++n)
#pragma unroll
        for (int e = 0; e < 2; ++e)
          if ((kept >> (8 * n + e) & 1u) == 0) s[4 * word + n][2 * r + e] = 0;
    }
}

template <class R>
constexpr size_t kForwardBytes = 5 * R::kElements * sizeof(bf16);  // queries, two of keys, two of values

template <class R>
__device__ void write(const RoundedArgs& a, const OwnTile& t, const WarpWeights<false>& weights, int head,
                      const typename R::Sums& sum, const float (&top)[2], const float (&total)[2], const Stored& y,
                      float* lse) {
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const float all = across_quad(total[r], cuda::Sum());
    if (weights.own + 8 * r >= t.length) continue;
    const int64_t token = t.begin + weights.own + 8 * r;
    write_row<R>(sum, r, a.keep_scale / all, a, y, token * a.hidden() + head * a.dim);
    if (threadIdx.x % 4 == 0)
      lse[token * a.heads + head] = kLn2 * (top[r] + (all > 0 ? log2f(all) : 0.0f / 0.0f * all));
  }
}

template <class R>
__global__ void __launch_bounds__(R::kThreads, R::kBlocks) attend_bf16(RoundedArgs a, Stored y, float* lse) {
  constexpr int kTile = R::kTile;
  WN_SHARED_DYN(bf16, shared);
  bf16 *const queries = shared, *const keys = queries + R::kElements, *const values = keys + 2 * R::kElements;
  const OwnTile t = own_tile<kTile>(a);
  const int head = static_cast<int>(blockIdx.y);
  const int64_t hidden = a.hidden(), row = 3 * hidden;
  if (t.length == 0) return;
  if (t.part == 0 || t.part > a.sequences) {
    clear_rows<R>(t, hidden, a.dim, y, int64_t{head} * a.dim);
    return clear_rows<R>(t, a.heads, 1, lse + head);
  }
  const bf16* const q = a.rounded + t.begin * row + head * a.dim;
  const auto fetch = [&](int key, int stage) {
    R::load(q + key * row + hidden, row, t.length - key, a, keys + stage * R::kElements);
    R::load(q + key * row + 2 * hidden, row, t.length - key, a, values + stage * R::kElements);
  };
  R::load(q + t.first * row, row, t.length - t.first, a, queries);
  fetch(0, 0);
  WarpWeights<false> weights(a, t, head);
  KeptRow kept[2];
  if (a.threshold > 0)
    for (int r = 0; r < 2; ++r) kept[r] = weights.kept_row(weights.own + 8 * r, 0);
  R::arrive();
  __syncthreads();
  const OwnFactors<R> own(queries);
  float sum[R::kDim / 8][4] = {}, top[2] = {-kInf, -kInf}, total[2] = {};
  const int last = a.causal && t.first + kTile < t.length ? t.first + kTile : t.length;
  for (int key = 0, stage = 0; key < last; key += kTile, stage ^= 1) {
    if (key + kTile < last) fetch(key + kTile, stage ^ 1);
    if (!weights.idle()) {
      float s[kTile / 8][4];
      own.products(keys + stage * R::kElements, s);
      weights.move(key, kTile);
      weights.scores(s);
      weights.clear(s, -kInf);
      softmax_step(s, top, total, sum);
      if (a.threshold > 0) drop(weights, kept, s);
      accumulate<R>(s, values + stage * R::kElements, sum);
    }
    R::arrive();
    __syncthreads();
  }
  write<R>(a, t, weights, head, sum, top, total, y, lse);
}

void prepare(const NodeSpec& node, Prepare& p) {
  const AttentionSpec& s = p.state<AttentionSpec>(attention_spec(node, false));
  visit_tile<RoundedTile>(s, []<class R>(R) { allow_shared(attend_bf16<R>, kForwardBytes<R>); });
}
void run(const Call& c) {
  const auto& s = c.state<AttentionSpec>();
  if (s.tokens == 0) return;
  visit_tile<RoundedTile>(s, [&]<class R>(R) {
    cuda::run(c, attend_bf16<R>, attention_grid(s, R::kTile), R::kThreads, kForwardBytes<R>, RoundedArgs(s, c),
              stored(c.outputs[0], c.out_spec(0)), c.out<float>(1));
  });
}

}  // namespace

void register_jagged_attention_bf16_cuda(Registry& r) {
  r.add_kernel("jagged_attention", {.name = "tensor_cores",
                                    .device = Device::CUDA,
                                    .reject = reject_attention<false, DType::BF16>,
                                    .prepare = prepare,
                                    .run = run});
}

}  // namespace winnow
