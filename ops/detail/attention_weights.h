// The weights of jagged attention in the fragments of ops/detail/attention_rounded.h: scores, mask, dropout (kernels
// only). Scores are in powers of two: 2^score is e^(what ops/jagged_attention.h calls one).
#pragma once
#include "ops/detail/attention_corner.h"
#include "ops/detail/attention_rounded.h"

namespace winnow::detail {

constexpr float kLog2E = 1.44269504f, kLn2 = 0.693147181f;

// Which weights of one row are kept, 32 at a time: by four neighbouring lanes, which share the random numbers.
class KeptRow {
 public:
  KeptRow() = default;
  // From weight `element` on, a multiple of 8.
  __device__ KeptRow(const AttentionArgs& a, uint64_t element)
      : group_(element / 32), shift_(static_cast<unsigned>(element % 32)), low_(word(a)) {}
  __device__ uint32_t next(const AttentionArgs& a) {
    ++group_;
    const uint32_t high = word(a);
    const uint64_t both = uint64_t{high} << 32 | low_;
    low_ = high;
    return static_cast<uint32_t>(both >> shift_);
  }

 private:
  // Of weights 32 group .. + 31: a lane's block has those from 4 t and from 16 + 4 t on (ops/detail/dropout_mask.h).
  __device__ uint32_t word(const AttentionArgs& a) const {
    const unsigned t = threadIdx.x % 4;
    const auto block = a.philox(4 * group_ + t, static_cast<uint64_t>(*a.step));
    uint32_t bits = kept_bits(a, {block[0], block[1]}) << 4 * t | kept_bits(a, {block[2], block[3]}) << (16 + 4 * t);
    bits |= __shfl_xor_sync(cuda::kAllLanes, bits, 1);
    return bits | __shfl_xor_sync(cuda::kAllLanes, bits, 2);
  }

  uint64_t group_ = 0;
  unsigned shift_ = 0;
  uint32_t low_ = 0;
};

// The weights of one head over one sequence, as a warp's 16 own tokens meet others.
template <bool kOwnKeys>
struct WarpWeights {
  const AttentionArgs& a;
  const float* bias;  // of the head
  float scale;
  int length, first_own, own, other = 0;  // first_own: of the warp; own: of the thread's row 0; other: of column 0
  int item;                               // of the random numbers
  bool masked = false;                    // some pair has no weight

  __device__ WarpWeights(const AttentionArgs& args, const OwnTile& t, int head)
      : a(args),
        bias(args.bias == nullptr ? nullptr : args.bias + int64_t{head} * (2 * args.reach + 1)),
        scale(args.scale * kLog2E),
        length(t.length),
        first_own(t.first + static_cast<int>(threadIdx.x) / 32 * 16),
        own(first_own + static_cast<int>(threadIdx.x) % 32 / 4),
        item((t.part - 1) * args.heads + head) {}

  __device__ bool idle() const { return first_own >= length; }  // none of the warp's tokens exists
  // Goes to `count` others from `first` on.
  __device__ void move(int first, int count) {
    other = first + static_cast<int>(threadIdx.x) % 4 * 2;
    const int last_key = (kOwnKeys ? first_own + 16 : first + count) - 1, first_query = kOwnKeys ? first : first_own;
    masked = first_own + 16 > length || first + count > length || (a.causal && last_key > first_query);
  }

  __device__ int own_of(int i) const { return own + i / 2 * 8; }  // of element s[n][i]
  __device__ int other_of(int n, int i) const { return other + 8 * n + i % 2; }
  __device__ int distance(int n, int i) const {  // of the key from the query
    return kOwnKeys ? own_of(i) - other_of(n, i) : other_of(n, i) - own_of(i);
  }
  // `value` where there is no weight.
  template <int N>
  __device__ void clear(float (&s)[N][4], float value) const {
    if (!masked) return;
#pragma unroll
    for (int n = 0; n < N; ++n)
#pragma unroll
      for (int i = 0; i < 4; ++i)
        if (own_of(i) >= length || other_of(n, i) >= length || (a.causal && distance(n, i) > 0)) s[n][i] = value;
  }
  // Products of queries and keys -> scores.
  template <int N>
  __device__ void scores(float (&s)[N][4]) const {
#pragma unroll
    for (int n = 0; n < N; ++n)
#pragma unroll
      for (int i = 0; i < 4; ++i) s[n][i] *= scale;
    if (bias == nullptr) return;
#pragma unroll
    for (int n = 0; n < N; ++n)
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int d = distance(n, i), place = (d < -a.reach ? -a.reach : d > a.reach ? a.reach : d) + a.reach;
        s[n][i] += bias[place] * kLog2E;
      }
  }
  __device__ KeptRow kept_row(int query, int key) const {
    const auto row = static_cast<uint64_t>((length + 7) / 8 * 8);
    return KeptRow(a, first_element(item) + static_cast<uint64_t>(query) * row + static_cast<uint64_t>(key));
  }
};

}  // namespace winnow::detail
