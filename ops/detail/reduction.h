// What sum, mean, max and min share when they are recorded: attributes, output shape, gradient shape.
#pragma once
#include "core/graph.h"
#include "ops/detail/axes.h"

namespace winnow::detail {

inline std::vector<int64_t> dims_of(const Shape& s) { return {s.dims().begin(), s.dims().end()}; }

inline Attrs reduction_attrs(const std::vector<int64_t>& axes, bool keepdims) {
  return {{"axes", axes}, {"keepdims", int64_t{keepdims}}};
}

// x's shape with the extents of the reduced axes set to 1.
inline Shape kept_shape(const Shape& x, const Attrs& attrs) {
  const auto reduced = parse_axes(x, attrs);
  Shape y = x;
  for (int a = 0; a < x.rank(); ++a)
    if (reduced[static_cast<size_t>(a)]) y = y.with(a, 1);
  return y;
}

// Attr axes name axes of x, each at most once.
inline void check_axes(const Infer& i, const Shape& x) {
  if (!i.attrs().has("axes")) return;
  std::array<bool, Shape::kMaxRank> seen{};
  for (const int64_t a : i.attrs().integers("axes")) {
    i.check(a >= -x.rank() && a < x.rank(), "axis {} is out of range for {}", a, x.str());
    bool& named = seen[static_cast<size_t>(a < 0 ? a + x.rank() : a)];
    i.check(!named, "axis {} is named twice for {}", a, x.str());
    named = true;
  }
}

inline void infer_reduction(Infer& i, bool needs_elements) {
  i.expect_inputs(1);
  i.expect_dtype(0, {DType::F32, DType::F64});
  const Shape& x = i.shape(0);
  check_axes(i, x);
  const auto reduced = parse_axes(x, i.attrs());
  Shape y = kept_shape(x, i.attrs());
  i.check(!needs_elements || y.numel() == 0 || x.numel() > 0, "{} has no elements to reduce", x.str());
  if (!i.attrs().flag("keepdims"))
    for (int a = x.rank() - 1; a >= 0; --a)
      if (reduced[static_cast<size_t>(a)]) y = y.without(a);
  i.out(i.dtype(0), y);
}

// A value of the reduced shape, repeated over the shape of x.
inline Value spread(Grad& g, Value reduced) {
  const Value kept = g.apply("reshape", {reduced}, {{"shape", dims_of(kept_shape(g.x(0).shape(), g.attrs()))}});
  return g.apply("broadcast_to", {kept}, {{"shape", dims_of(g.x(0).shape())}});
}

}  // namespace winnow::detail
