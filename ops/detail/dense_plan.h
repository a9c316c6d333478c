// The dense optimizers' operands and the terms of their gradients. Inputs: p_0.., g_0.., state by state, lr, step,
// scale; attribute tensors.
#pragma once
#include <algorithm>
#include <vector>

#include "ops/detail/optimizer_rules.h"

namespace winnow {

inline constexpr int64_t kUpdateBlock = 8192;  // elements; fixed, so that an element always takes the same code path

inline constexpr int64_t kMostTensors = 65536;

struct DensePlan {
  struct Block {
    int tensor;
    int64_t begin, end;
  };
  RuleParams params;
  int tensors, states;
  std::vector<Block> blocks;

  DensePlan(const NodeSpec& n, int states_)
      : params(n.attrs), tensors(static_cast<int>(n.attrs.integer("tensors"))), states(states_) {
    for (int t = 0; t < tensors; ++t) {
      const int64_t size = n.in[static_cast<size_t>(t)].shape.numel();
      for (int64_t at = 0; at < size; at += kUpdateBlock) blocks.push_back({t, at, std::min(size, at + kUpdateBlock)});
    }
  }
  int state_input(int state, int tensor) const { return (2 + state) * tensors + tensor; }
  int scalars() const { return (2 + states) * tensors; }
};

inline std::vector<int> mutated_dense(const Attrs& attrs, int states) {
  const auto tensors = static_cast<int>(std::clamp<int64_t>(attrs.integer("tensors"), 0, kMostTensors));
  std::vector<int> list;
  for (int i = 0; i < (2 + states) * tensors; ++i)
    if (i < tensors || i >= 2 * tensors) list.push_back(i);
  return list;
}

inline void infer_dense(Infer& in, int states) {
  const int64_t tensors = in.attrs().integer("tensors");
  in.check(tensors >= 1 && tensors <= kMostTensors, "{} tensors; 1 to {} are supported", tensors, kMostTensors);
  in.expect_inputs(static_cast<int>(2 + states) * static_cast<int>(tensors) + 3);
  const int n = static_cast<int>(tensors), scalars = (2 + states) * n;
  infer_rule(in);
  in.expect_dtype(0, {DType::F32, DType::F64});
  in.expect_same_dtype(0, scalars - 1);
  for (int i = n; i < scalars; ++i) in.expect_shape(i, in.shape(i % n));
  for (const int i : {scalars, scalars + 2}) {
    in.expect_dtype(i, {DType::F32, DType::F64});
    in.expect_shape(i, {});
  }
  in.expect_dtype(scalars + 1, {DType::I64});
  in.expect_shape(scalars + 1, {});
}

// The gradient's own terms of one call.
template <class T>
struct DenseTerms {
  T scale, l1, decay;
  bool penalised;
  // coupled: weight decay is part of the gradient
  WN_HD DenseTerms(const RuleParams& p, double scale_, bool coupled)
      : scale(static_cast<T>(scale_)),
        l1(static_cast<T>(p.l1)),
        decay(coupled ? static_cast<T>(p.weight_decay) : T{0}),
        penalised(coupled && (p.l1 != 0 || p.weight_decay != 0)) {}
  template <bool with_penalty>
  WN_HD T gradient(T grad, T w) const {
    T g = scale * grad;
    if constexpr (with_penalty) g += decay * w + l1 * sign(w);
    return g;
  }
};

}  // namespace winnow
