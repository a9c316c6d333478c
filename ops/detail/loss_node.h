// What the nodes of losses and of their gradients have in common, for every backend.
#pragma once
#include <algorithm>

#include "core/op.h"
#include "ops/detail/bound_operator.h"
#include "ops/losses.def.h"

namespace winnow::detail {

// Of a node whose inputs from `first` on are predictions, labels and perhaps weights.
struct LossNode {
  Parameters parameters;
  int64_t n = 0;      // predictions
  int64_t inner = 1;  // predictions of one weight
  bool weighted = false;
  template <class L>
  static LossNode of(const NodeSpec& node, size_t first) {
    LossNode s{.parameters = parameters_of<L>(node.attrs),
               .n = node.in[first].shape.numel(),
               .weighted = node.in.size() == first + 3};
    if (s.weighted) s.inner = std::max<int64_t>(1, s.n / std::max<int64_t>(1, node.in[first + 2].shape.numel()));
    return s;
  }
};

}  // namespace winnow::detail
