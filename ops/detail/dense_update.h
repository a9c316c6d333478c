// One pass over fixed blocks of many tensors on the CPU.
#pragma once
#include <cmath>

#include "core/parallel.h"
#include "ops/detail/dense_plan.h"
#include "ops/detail/scalar_input.h"

namespace winnow {

// lr, step and the terms of one call.
template <class T>
struct DenseScalars : DenseTerms<T> {
  double lr;
  int64_t step;
  DenseScalars(const Call& c, const DensePlan& p, bool coupled)
      : DenseTerms<T>(p.params, scalar_at(c, p.scalars() + 2), coupled),
        lr(scalar_at(c, p.scalars())),
        step(*c.in<int64_t>(p.scalars() + 1)) {}
};

// A: type of arithmetic.
template <class Rule, bool penalised, class T, class A>
void update_block(const Rule& rule, const DenseScalars<A>& k, T* __restrict w, const T* __restrict grad,
                  [[maybe_unused]] T* __restrict s0, [[maybe_unused]] T* __restrict s1, int64_t n) {
#pragma omp simd
  for (int64_t j = 0; j < n; ++j) {
    A x = static_cast<A>(w[j]);
    const A g = k.template gradient<penalised>(static_cast<A>(grad[j]), x);
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
