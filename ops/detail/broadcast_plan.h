// NumPy broadcasting of K inputs into one output, as rows: axes along which every input advances alike are merged, and
// the innermost merged axis is walked with strides of one or none, so that the loop over it vectorises.
#pragma once
#include <array>
#include <cstdint>

#include "core/shape.h"

namespace winnow::detail {

template <int K>
using Offsets = std::array<int64_t, K>;

template <int K>
struct BroadcastPlan {
  int axes = 0;  // outside the innermost one
  std::array<int64_t, Shape::kMaxRank> extent{};
  std::array<Offsets<K>, Shape::kMaxRank> stride{};  // in elements; 0 where the input is repeated
  int64_t rows = 1, inner = 1;
  unsigned dense = 0;  // bit k: input k advances along the innermost axis
};

// The distance, in elements of `in`, between neighbours along an axis of `out`; 0 where `in` is repeated.
inline int64_t broadcast_stride(const Shape& out, const Shape& in, int axis) {
  const int a = axis - (out.rank() - in.rank());
  return a < 0 || in[a] == 1 ? 0 : in.inner(a);
}

template <int K>
BroadcastPlan<K> plan_broadcast(const Shape& out, const std::array<Shape, K>& in) {
  std::array<int64_t, Shape::kMaxRank> extent{};
  std::array<Offsets<K>, Shape::kMaxRank> stride{};
  int n = 0;  // merged axes, innermost first
  for (int axis = out.rank() - 1; axis >= 0; --axis) {
    if (out[axis] == 1) continue;
    Offsets<K> s{};
    for (size_t k = 0; k < K; ++k) s[k] = broadcast_stride(out, in[k], axis);
    bool merges = n > 0;
    for (size_t k = 0; k < K && merges; ++k)
      merges = s[k] == stride[static_cast<size_t>(n - 1)][k] * extent[static_cast<size_t>(n - 1)];
    if (merges) {
      extent[static_cast<size_t>(n - 1)] *= out[axis];
      continue;
    }
    extent[static_cast<size_t>(n)] = out[axis];
    stride[static_cast<size_t>(n++)] = s;
  }
  BroadcastPlan<K> p;
  if (n > 0) {
    p.inner = extent[0];
    for (size_t k = 0; k < K; ++k) p.dense |= stride[0][k] != 0 ? 1u << k : 0u;
  }
  for (int a = n - 1; a > 0; --a, ++p.axes) {
    p.extent[static_cast<size_t>(p.axes)] = extent[static_cast<size_t>(a)];
    p.stride[static_cast<size_t>(p.axes)] = stride[static_cast<size_t>(a)];
    p.rows *= extent[static_cast<size_t>(a)];
  }
  return p;
}

}  // namespace winnow::detail
