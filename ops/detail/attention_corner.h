// The weights of jagged attention between two tiles, as one thread's corner of them: scores, mask, dropout (kernels
// only).
#pragma once
#include "ops/detail/attention_tiles.h"
#include "ops/detail/dropout_mask.h"

namespace winnow::detail {

// Whether four elements are kept, a bit each.
__device__ inline unsigned kept_bits(const AttentionArgs& a, DropoutBits bits) {
  const auto kept = [&](uint32_t of_one) { return static_cast<int32_t>(of_one) >= a.threshold ? 1u : 0u; };
  return kept(bits.first & 0xffffu) | kept(bits.first >> 16) << 1 | kept(bits.second & 0xffffu) << 2 |
         kept(bits.second >> 16) << 3;
}
// The four from `element` on, a multiple of 4.
__device__ inline unsigned kept_of_four(const AttentionArgs& a, uint64_t step, uint64_t element) {
  return kept_bits(a, dropout_bits_of_four(a.philox, step, static_cast<int64_t>(element)));
}

// The weights of one head over one sequence, as one thread's corner of a pair of tiles sees them.
template <class A, bool kOwnKeys>
struct Corner {
  const AttentionArgs& a;
  const float* bias;  // of the head
  int length;
  uint64_t step, first;          // first: element of weight (0, 0)
  int own_tile, own, other = 0;  // tokens: of the tile, of row 0, of column 0
  bool masked = false;           // some pair of the tiles has no weight

  __device__ Corner(const AttentionArgs& args, const OwnTile& t, int head, const A& thread)
      : a(args),
        bias(args.bias == nullptr ? nullptr : args.bias + int64_t{head} * (2 * args.reach + 1)),
        length(t.length),
        step(args.step == nullptr ? 0 : static_cast<uint64_t>(*args.step)),
        first(first_element(int64_t{t.part - 1} * args.heads + head)),
        own_tile(t.first),
        own(t.first + thread.ty * A::kRows) {}

  // Goes to another tile of the others.
  __device__ void move(int tile, const A& thread) {
    constexpr int kTile = A::kTile;
    other = tile + 4 * thread.tx;
    const int first_query = kOwnKeys ? tile : own_tile, first_key = kOwnKeys ? own_tile : tile;
    masked = own_tile + kTile > length || tile + kTile > length || (a.causal && first_key + kTile - 1 > first_query);
  }

  __device__ int query(int r, int c) const { return kOwnKeys ? other + c : own + r; }
  __device__ int key(int r, int c) const { return kOwnKeys ? own + r : other + c; }
  __device__ bool live(int r, int c) const {
    return query(r, c) < length && key(r, c) < length && (!a.causal || key(r, c) <= query(r, c));
  }
  // `value` where there is no weight; whole tiles need no look at single pairs.
  __device__ void clear(float (&s)[A::kRows][4], float value) const {
    if (!masked) return;
#pragma unroll
    for (int r = 0; r < A::kRows; ++r)
#pragma unroll
      for (int c = 0; c < 4; ++c)
        if (!live(r, c)) s[r][c] = value;
  }
  __device__ int place(int distance) const {
    return (distance < -a.reach ? -a.reach : distance > a.reach ? a.reach : distance) + a.reach;
  }
  // Products of queries and keys -> scores.
  __device__ void scores(float (&s)[A::kRows][4]) const {
#pragma unroll
    for (int r = 0; r < A::kRows; ++r)
#pragma unroll
      for (int c = 0; c < 4; ++c) s[r][c] *= a.scale;
    if (bias == nullptr) return;
#pragma unroll
    for (int r = 0; r < A::kRows; ++r)
#pragma unroll
      for (int c = 0; c < 4; ++c) s[r][c] += bias[place(key(r, c) - query(r, c))];
  }
  // Bit 4 r + c: weight (r, c) is kept.
  __device__ unsigned kept() const {
    if (a.threshold == 0) return 0xffffffffu;
    const auto row = static_cast<uint64_t>((length + 7) / 8 * 8);
    unsigned bits = 0;
    if constexpr (kOwnKeys) {
#pragma unroll 1
      for (int c = 0; c < 4; ++c)
#pragma unroll 1
        for (int r = 0; r < A::kRows; r += 4) {
          const unsigned four = kept_of_four(a, step, first + static_cast<uint64_t>(query(r, c)) * row + key(r, c));
          for (int e = 0; e < 4; ++e) bits |= (four >> e & 1u) << (4 * (r + e) + c);
        }
    } else {
#pragma unroll 2
      for (int r = 0; r < A::kRows; ++r)
        bits |= kept_of_four(a, step, first + static_cast<uint64_t>(query(r, 0)) * row + key(r, 0)) << (4 * r);
    }
    return bits;
  }
  __device__ void drop(float (&w)[A::kRows][4], unsigned bits) const {
    if (a.threshold == 0) return;
#pragma unroll
    for (int r = 0; r < A::kRows; ++r)
#pragma unroll
      for (int c = 0; c < 4; ++c) w[r][c] *= (bits >> (4 * r + c) & 1u) != 0 ? a.keep_scale : 0.0f;
  }
};

}  // namespace winnow::detail
