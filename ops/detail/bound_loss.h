// A loss of ops/losses.def.h with its parameters, for every backend's loops.
#pragma once
#include <algorithm>

#include "core/op.h"
#include "ops/detail/bound_operator.h"
#include "ops/losses.def.h"

namespace winnow::detail {

// A loss with its parameters as values of T.
template <class L, class T>
struct BoundLoss {
  T first, second;
  explicit BoundLoss(const Parameters& p) : first(static_cast<T>(p.value[0])), second(static_cast<T>(p.value[1])) {}
  WN_HD T f(T x, T label) const {
    if constexpr (kParameterCount<L> == 0)
      return L::f(x, label);
    else if constexpr (kParameterCount<L> == 1)
      return L::f(x, label, first);
    else
      return L::f(x, label, first, second);
  }
  WN_HD T gradient(T x, T label) const {
    if constexpr (kParameterCount<L> == 0)
      return L::gradient(x, label);
    else if constexpr (kParameterCount<L> == 1)
      return L::gradient(x, label, first);
    else
      return L::gradient(x, label, first, second);
  }
};

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
