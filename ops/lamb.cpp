// LAMB: Adam whose step is scaled, tensor by tensor, to the length of the parameter. Contract in ops/optimizers.h.
#include "ops/detail/dense_samples.h"
#include "ops/detail/dense_update.h"
#include "ops/optimizers.h"

namespace winnow {
namespace {

constexpr int kStates = 2;

// Partial sums of squares of one block; they are added in block order.
struct Squares {
  double weight, step;
};

void prepare(const NodeSpec& n, Prepare& p) {
  const auto& plan = p.state<DensePlan>(n, kStates);
  p.scratch(plan.blocks.size() * sizeof(Squares) + static_cast<size_t>(plan.tensors) * sizeof(double));
}

// New moments of n elements, and the squares of weights and directions. A: type of arithmetic.
template <class T, class A>
Squares update_moments(const AdamStep<A>& rule, A scale, A decay, const T* __restrict w, const T* __restrict g,
                       T* __restrict m, T* __restrict v, int64_t n) {
  A weight = 0, step = 0;
#pragma omp simd reduction(+ : weight, step)
  for (int64_t j = 0; j < n; ++j) {
    const A x = static_cast<A>(w[j]);
    A first = static_cast<A>(m[j]), second = static_cast<A>(v[j]);
    rule.moments(scale * static_cast<A>(g[j]), first, second);
    m[j] = static_cast<T>(first);
    v[j] = static_cast<T>(second);
    const A r = rule.direction(first, second) + decay * x;
    weight += x * x;
    step += r * r;
  }
  return {static_cast<double>(weight), static_cast<double>(step)};
}

// w -= scale * direction
template <class T, class A>
void move_weights(const AdamStep<A>& rule, A scale, A decay, T* __restrict w, const T* __restrict m,
                  const T* __restrict v, int64_t n) {
#pragma omp simd
  for (int64_t j = 0; j < n; ++j) {
    const A x = static_cast<A>(w[j]);
    w[j] = static_cast<T>(x - scale * (rule.direction(static_cast<A>(m[j]), static_cast<A>(v[j])) + decay * x));
  }
}

// The direction is computed twice, which is cheaper than keeping it.
template <class T, class A>
void update(const Call& c, int64_t grain) {
  const auto& p = c.state<DensePlan>();
  const DenseScalars<A> k(c, p, false);
  if (!std::isfinite(k.scale)) return;
  const AdamStep<A> rule(p.params, 1, k.step, false);  // the learning rate comes with the ratio
  const A decay = static_cast<A>(p.params.weight_decay);
  const auto blocks = static_cast<int64_t>(p.blocks.size());
  auto* squares = c.scratch_as<Squares>();
  auto* rate = reinterpret_cast<double*>(squares + blocks);

  parallel_for(blocks, grain, [&](int64_t begin, int64_t end) {
    for (int64_t q = begin; q < end; ++q) {
      const auto& b = p.blocks[static_cast<size_t>(q)];
      squares[q] =
          update_moments(rule, k.scale, decay, c.in<T>(b.tensor) + b.begin, c.in<T>(p.tensors + b.tensor) + b.begin,
                         c.mut<T>(p.state_input(0, b.tensor)) + b.begin, c.mut<T>(p.state_input(1, b.tensor)) + b.begin,
                         b.end - b.begin);
    }
  });
  for (int t = 0, q = 0; t < p.tensors; ++t) {
    double weight = 0, step = 0;
    for (; q < blocks && p.blocks[static_cast<size_t>(q)].tensor == t; ++q)
      weight += squares[q].weight, step += squares[q].step;
    rate[t] = weight > 0 && step > 0 ? k.lr * std::sqrt(weight / step) : k.lr;
  }
  parallel_for(blocks, grain, [&](int64_t begin, int64_t end) {
    for (int64_t q = begin; q < end; ++q) {
      const auto& b = p.blocks[static_cast<size_t>(q)];
      move_weights(rule, static_cast<A>(rate[b.tensor]), decay, c.mut<T>(b.tensor) + b.begin,
                   c.in<T>(p.state_input(0, b.tensor)) + b.begin, c.in<T>(p.state_input(1, b.tensor)) + b.begin,
                   b.end - b.begin);
    }
  });
}

void samples(Samples& s) {
  add_dense_samples(s, kStates, {{"eps", 1e-6}}, {{"eps", 1e-6}, {"weight_decay", 0.1}});
  s.add({"more tensors than one launch takes",
         dense_case(std::vector<Shape>(66, Shape{2}), kStates, 3, 1),
         {{"eps", 1e-6}, {"tensors", int64_t{66}}}});
  auto zero = dense_case({{4, 4}, {3}}, kStates, 7, 1);
  zero[0].fill = Fill::integers(0, 0);
  s.add({"a parameter of zeros takes ratio 1", zero, {{"eps", 1e-6}, {"tensors", int64_t{2}}}});
}

}  // namespace

void register_lamb(Registry& r) {
  r.add({.name = "lamb",
         .doc = "r = m^ / (sqrt(v^) + eps) + weight_decay * p; p -= lr * |p| / |r| * r per tensor",
         .infer = [](Infer& in) { infer_dense(in, kStates); },
         .no_grad = "updates variables in place",
         .samples = samples,
         .tolerance = {.ulp = 16, .sum = 16},
         .kernels = {{.name = "blocks",
                      .reject = dense_single_only,
                      .prepare = prepare,
                      .run = [](const Call& c) { update<float, float>(c, 4); }},
                     {.name = "reference",
                      .prepare = prepare,
                      .run =
                          [](const Call& c) {
                            visit_float(c.in_spec(0).dtype, "lamb()",
                                        [&]<class T>() { update<T, double>(c, int64_t{1} << 62); });
                          }}},
         .mutates_of = [](const Attrs& a) { return mutated_dense(a, kStates); }});
}

}  // namespace winnow
