// What the losses share: optional weights, sums that do not depend on threads, and the gradients that do not exist.
#pragma once
#include <cmath>
#include <vector>

#include "core/graph.h"
#include "core/parallel.h"

namespace winnow::detail {

inline constexpr int64_t kLossBlock = 1024;  // elements whose sum is one partial sum
inline int64_t loss_blocks(int64_t n) { return (n + kLossBlock - 1) / kLossBlock; }

// sum of x[0 .. n) in double, in an order that n alone decides.
template <class T>
double block_sum(const T* x, int64_t n) {
  constexpr int64_t kLanes = 16;
  double lane[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (int64_t k = 0; k < kLanes; ++k) lane[k] += static_cast<double>(x[i + k]);
  for (int64_t k = 0; i + k < n; ++k) lane[k] += static_cast<double>(x[i + k]);
  for (int64_t half = kLanes / 2; half > 0; half /= 2)
    for (int64_t k = 0; k < half; ++k) lane[k] += lane[k + half];
  return lane[0];
}

// The weight of example i; null weights are all 1.
template <class T>
T weight_of(const T* weights, int64_t i) {
  return weights == nullptr ? T(1) : weights[i];
}
template <class T>
double weight_sum(const T* weights, int64_t n) {
  return weights == nullptr ? static_cast<double>(n) : block_sum(weights, n);
}
// total / weight, 0 without weight.
inline double weighted_mean(double total, double weight) { return weight == 0 ? 0 : total / weight; }

inline Value record_loss(const char* op, std::vector<Value> in, Value weights, Attrs attrs, Loc loc) {
  if (weights) in.push_back(weights);
  return in[0].graph->apply_all(op, in, std::move(attrs), loc)[0];
}
// <op>_grad(dloss, inputs of the loss)
inline std::vector<Value> record_loss_gradient(const Grad& g, const std::string& op) {
  std::vector<Value> in = {g.dy()};
  for (int i = 0; i < g.inputs(); ++i) in.push_back(g.x(i));
  return g.graph().apply_all(op, in, g.attrs(), g.loc());
}
inline void refuse_gradients(const Grad& g, const char* op, int first) {
  for (int i = first; i < g.inputs(); ++i)
    WN_CHECK(
        !g.needs(i), Error,
        "{}(): input {} requires a gradient, but only the predictions get one; compute it from values that do not, or "
        "feed it ({})",
        op, i, at_source(g.loc()));
}

}  // namespace winnow::detail
