#pragma once
#include <array>
#include <vector>

#include "core/op.h"

namespace winnow::detail {

// The axes of y with neighbours that stay neighbours merged and extents of 1 dropped.
struct TransposeAxes {
  struct Axis {
    int64_t extent, x_stride, y_stride;
  };
  std::array<Axis, Shape::kMaxRank> axes{};
  int rank = 0;
  int x_last = -1;   // the axis of y that is contiguous in x
  int64_t rows = 1;  // tiled: product of the extents other than the last of y and x_last
};

inline TransposeAxes transpose_axes(const NodeSpec& n) {
  TransposeAxes s;
  const Shape &x = n.in[0].shape, &y = n.out[0].shape;
  const std::vector<int64_t>& perm = n.attrs.integers("perm");
  for (int k = 0; k < y.rank(); ++k) {
    const int64_t extent = y[k], x_stride = x.inner(static_cast<int>(perm[static_cast<size_t>(k)])),
                  y_stride = y.inner(k);
    if (extent == 1) continue;
    if (s.rank > 0) {
      auto& last = s.axes[static_cast<size_t>(s.rank - 1)];
      if (last.x_stride == extent * x_stride) {
        last = {last.extent * extent, x_stride, y_stride};
        continue;
      }
    }
    s.axes[static_cast<size_t>(s.rank++)] = {extent, x_stride, y_stride};
  }
  for (int k = 0; k < s.rank; ++k)
    if (s.axes[static_cast<size_t>(k)].x_stride == 1) s.x_last = k;
  for (int k = 0; k < s.rank - 1; ++k)
    if (k != s.x_last) s.rows *= s.axes[static_cast<size_t>(k)].extent;
  return s;
}
// Where the i-th combination of the axes other than the last of y and `skip` lies in x and in y.
struct TransposeOffsets {
  int64_t x = 0, y = 0;
};
inline TransposeOffsets transpose_offsets(const TransposeAxes& s, int64_t i, int skip) {
  TransposeOffsets at;
  for (int k = s.rank - 2; k >= 0; --k) {
    if (k == skip) continue;
    const auto& a = s.axes[static_cast<size_t>(k)];
    at.x += i % a.extent * a.x_stride;
    at.y += i % a.extent * a.y_stride;
    i /= a.extent;
  }
  return at;
}

}  // namespace winnow::detail
