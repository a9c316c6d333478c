// Samples that the dense optimizers share.
#pragma once
#include <vector>

#include "core/samples.h"

namespace winnow {

// Parameters of the given shapes, gradients, `states` tensors each of which the last holds squares, lr, step, scale.
inline std::vector<Arg> dense_case(const std::vector<Shape>& shapes, int states, double step, double scale) {
  std::vector<Arg> in;
  for (const Shape& s : shapes) in.push_back(fixed(f32(s)));
  for (const Shape& s : shapes) in.push_back(fixed(f32(s)));
  for (int k = 0; k < states; ++k)
    for (const Shape& s : shapes)
      in.push_back(fixed(f32(s, k + 1 == states ? Fill::uniform(0.1, 2) : Fill::normal(0.1))));
  in.push_back(fixed(f32({}, Fill::of({0.01}))));
  in.push_back(i64({}, Fill::of({step})));
  in.push_back(fixed(f32({}, Fill::of({scale}))));
  return in;
}

inline void add_dense_samples(Samples& s, int states, const Attrs& attrs, const Attrs& penalised) {
  const auto with = [](Attrs a, int64_t tensors) { return a.set("tensors", tensors); };
  const std::vector<Shape> network = {{429, 400}, {400}, {400, 400}, {400}, {400, 400}, {400}, {400, 1}, {1}};
  auto unequal = dense_case({{3, 4}, {5}}, states, 1, 1);
  unequal[3] = fixed(f32({6}));
  s.add({"one element, first step", dense_case({{1}}, states, 1, 1), with(attrs, 1)})
      .add({"three tensors of odd sizes", dense_case({{7, 3}, {1}, {129}}, states, 5, 0.5), with(attrs, 3)})
      .add({"penalised, beyond one block", dense_case({{91, 97}, {13}}, states, 100, 1), with(penalised, 2)})
      .add({"an empty tensor among others", dense_case({{0, 4}, {33}}, states, 2, 1), with(attrs, 2)})
      .add({.name = "CTR network",
            .in = dense_case(network, states, 10, 1),
            .attrs = with(attrs, 8),
            .grad = false,
            .bench = true})
      .add({.name = "gradient of another shape",
            .in = unequal,
            .attrs = with(attrs, 2),
            .throws = "input 3 is [6], expected [5]"});
}

}  // namespace winnow
