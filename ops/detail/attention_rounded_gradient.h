// What the two kernels of the gradient of bf16 factors are given (kernels only).
#pragma once
#include "ops/detail/attention_gradient.h"
#include "ops/detail/attention_weights.h"

namespace winnow::detail {

template <class R>
constexpr size_t kBackwardBytes = 6 * R::kElements * sizeof(bf16);  // two tiles of its own, two of two others

struct RoundedGradients : AttentionGradients<bf16> {
  const bf16* low_y;  // not null: instead of y
  Result result;
  RoundedGradients(const GradientPlan<RoundedTile>& plan, const Call& c)
      : AttentionGradients(plan.gradients<bf16>(c)),
        low_y(c.in_spec(3).dtype == DType::BF16 ? c.in<bf16>(3) : nullptr),
        result(c, 0) {}
};

}  // namespace winnow::detail
