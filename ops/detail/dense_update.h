// One pass over fixed blocks of many tensors. Inputs: p_0.., g_0.., state by state, lr, step, scale; attribute tensors.
#pragma once
#include <cmath>
#include <vector>

#include "core/parallel.h"
#include "ops/detail/optimizer_rules.h"
#include "ops/detail/scalar_input.h"

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

// lr, step and the gradient's own terms of one call.
template <class T>
struct DenseScalars {
  double lr;
  int64_t step;
  T scale, l1, decay;
  bool penalised;
  // coupled: weight decay is part of the gradient
  DenseScalars(const Call& c, const DensePlan& p, bool coupled)
      : lr(scalar_at(c, p.scalars())),
        step(*c.in<int64_t>(p.scalars() + 1)),
        scale(static_cast<T>(scalar_at(c, p.scalars() + 2))),
        l1(static_cast<T>(p.params.l1)),
        decay(coupled ? static_cast<T>(p.params.weight_decay) : T{0}),
        penalised(coupled && (p.params.l1 != 0 || p.params.weight_decay != 0)) {}
};

// A: type of arithmetic.
template <class Rule, bool penalised, class T, class A>
void update_block(const Rule& rule, const DenseScalars<A>& k, T* __restrict w, const T* __restrict grad,
                  [[maybe_unused]] T* __restrict s0, [[maybe_unused]] T* __restrict s1, int64_t n) {
#pragma omp simd
  for (int64_t j = 0; j < n; ++j) {
    A x = static_cast<A>(w[j]);
    A g = k.scale * static_cast<A>(grad[j]);
    if constexpr (penalised) g += k.decay * x + k.l1 * sign(x);
    if constexpr (Rule::kStates == 0) {
      rule(g, x);
    } else if constexpr (Rule::kStates == 1) {
      A a = static_cast<A>(s0[j]);
      rule(g, x, a);
      s0[j] = static_cast<T>(a);
    } else {
      A a = static_cast<A>(s0[j]), b = static_cast<A>(s1[j]);
      rule(g, x, a, b);
      s0[j] = static_cast<T>(a);
      s1[j] = static_cast<T>(b);
    }
    w[j] = static_cast<T>(x);
  }
}

template <class Rule, class T, class A>
void update_dense(const Call& c, int64_t grain) {
  const auto& p = c.state<DensePlan>();
  const DenseScalars<A> k(c, p, Rule::kCoupled);
  if (!std::isfinite(k.scale)) return;
  const Rule rule(p.params, k.lr, k.step);
  parallel_for(static_cast<int64_t>(p.blocks.size()), grain, [&](int64_t begin, int64_t end) {
    for (int64_t q = begin; q < end; ++q) {
      const auto& b = p.blocks[static_cast<size_t>(q)];
      T* w = c.mut<T>(b.tensor) + b.begin;
      const T* g = c.in<T>(p.tensors + b.tensor) + b.begin;
      T* s0 = Rule::kStates > 0 ? c.mut<T>(p.state_input(0, b.tensor)) + b.begin : nullptr;
      T* s1 = Rule::kStates > 1 ? c.mut<T>(p.state_input(1, b.tensor)) + b.begin : nullptr;
      if (k.penalised)
        update_block<Rule, true>(rule, k, w, g, s0, s1, b.end - b.begin);
      else
        update_block<Rule, false>(rule, k, w, g, s0, s1, b.end - b.begin);
    }
  });
}

inline const char* dense_single_only(const NodeSpec& n, const DeviceInfo&) {
  return n.in[0].dtype == DType::F64 ? "f64 runs on the reference" : nullptr;
}

}  // namespace winnow
