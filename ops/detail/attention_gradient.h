// What the CUDA kernels of jagged attention's gradient are given beside the forward pass's arguments, and their
// scratch.
#pragma once
#include "core/cuda/column_sums.h"
#include "ops/detail/attention_launch.h"
#include "ops/detail/attention_rounded.h"

namespace winnow::detail {

template <class Factor, class Y, class Result>
struct AttentionGradients {
  const Factor* dy;
  Y y;
  const float* lse;
  Result dqkv;
  float* delta;  // [tokens, heads]: sum_d dy y, which is sum_j w_ij dw_ij
  float* parts;  // [tiles, heads, 2 R + 1]: gradients of the bias, or null
};

using RoundedGradients = AttentionGradients<bf16, Stored, Stored>;
template <class R>
constexpr size_t kBackwardBytes = 6 * R::kElements * sizeof(bf16);  // two tiles of its own, two of two others

template <template <int, int> class Tile>
struct GradientPlan {
  AttentionSpec spec;
  int64_t tiles = 0, biases = 0;  // biases: of all heads
  size_t delta_bytes = 0, parts_bytes = 0;
  explicit GradientPlan(const NodeSpec& node) : spec(attention_spec(node, true)) {
    visit_tile<Tile>(spec, [&]<class A>(A) { tiles = attention_tiles(spec, A::kTile); });
    biases = spec.has_bias ? spec.heads * (2 * spec.reach + 1) : 0;
    delta_bytes = (static_cast<size_t>(spec.tokens * spec.heads) * sizeof(float) + 255) / 256 * 256;
    parts_bytes = static_cast<size_t>(tiles * biases) * sizeof(float);
  }
  size_t scratch_bytes() const { return delta_bytes + parts_bytes + cuda::column_sums_bytes(tiles, biases); }
  float* parts(const Call& c) const { return reinterpret_cast<float*>(c.scratch_as<char>() + delta_bytes); }
  template <class Factor, class Y, class Result>
  AttentionGradients<Factor, Y, Result> gradients(const Call& c, Y y, Result dqkv) const {
    return {.dy = c.in<Factor>(0),
            .y = y,
            .lse = c.in<float>(4),
            .dqkv = dqkv,
            .delta = c.scratch_as<float>(),
            .parts = spec.has_bias ? parts(c) : nullptr};
  }
};

struct PartOfTile {
  const float* parts;
  int64_t n;
  __device__ float operator()(int64_t tile, int64_t column) const { return parts[tile * n + column]; }
};
template <class Plan>
void add_up_parts(const Plan& plan, const Call& c) {
  if (plan.spec.has_bias)
    cuda::column_sums(c, plan.tiles, plan.biases, c.out<float>(1), plan.parts(c) + plan.parts_bytes / sizeof(float),
                      PartOfTile{plan.parts(c), plan.biases});
}

}  // namespace winnow::detail
