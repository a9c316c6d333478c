// The loops over a tensor of which some axes are reduced (or broadcast): neighbouring axes of the same kind are merged
// and extents of 1 dropped, so that most reductions become [outer, reduced, inner].
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/op.h"

namespace winnow::detail {

struct Axes {
  struct Axis {
    int64_t extent, stride;  // stride in the full tensor
  };
  std::array<Axis, Shape::kMaxRank> kept{}, reduced{};
  int kept_rank = 0, reduced_rank = 0;
  int64_t outputs = 1, terms = 1;  // products of the kept and of the reduced extents

  // [outer, terms, inner] with the terms `inner` apart; only when `blocked`.
  bool blocked = false;
  int64_t outer = 1, inner = 1;

  // Where output o and term t lie in the full tensor.
  int64_t output_offset(int64_t o) const { return offset(kept, kept_rank, o); }
  int64_t term_offset(int64_t t) const { return offset(reduced, reduced_rank, t); }
  // The innermost run of terms: `extent` of them, `stride` apart.
  Axis last_reduced() const { return reduced_rank == 0 ? Axis{1, 0} : reduced[static_cast<size_t>(reduced_rank - 1)]; }

 private:
  static int64_t offset(const std::array<Axis, Shape::kMaxRank>& axes, int rank, int64_t i) {
    int64_t at = 0;
    for (int a = rank - 1; a >= 0; --a) {
      const auto& axis = axes[static_cast<size_t>(a)];
      at += i % axis.extent * axis.stride;
      i /= axis.extent;
    }
    return at;
  }
};

inline Axes merge_axes(const Shape& full, std::span<const bool> is_reduced) {
  Axes r;
  bool last_reduced = false, any = false;
  for (int a = 0; a < full.rank(); ++a) {
    const int64_t extent = full[a], stride = full.inner(a);
    const bool reduced = is_reduced[static_cast<size_t>(a)];
    (reduced ? r.terms : r.outputs) *= extent;
    if (extent == 1) continue;
    auto& list = reduced ? r.reduced : r.kept;
    int& rank = reduced ? r.reduced_rank : r.kept_rank;
    if (any && reduced == last_reduced) {
      auto& axis = list[static_cast<size_t>(rank - 1)];
      axis = {axis.extent * extent, stride};
    } else {
      list[static_cast<size_t>(rank++)] = {extent, stride};
      if (reduced) r.outer = full.outer(a);
    }
    if (reduced) r.inner = stride;
    last_reduced = reduced;
    any = true;
  }
  r.blocked = r.reduced_rank <= 1;
  if (r.reduced_rank == 0) r.outer = r.outputs, r.inner = 1;
  return r;
}

// attr axes (integers; absent or empty: all), negative counted from the end, checked; flags by axis.
inline std::array<bool, Shape::kMaxRank> parse_axes(const Shape& x, const Attrs& attrs) {
  std::array<bool, Shape::kMaxRank> flags{};
  if (!attrs.has("axes") || attrs.integers("axes").empty()) {
    flags.fill(true);
    return flags;
  }
  for (const int64_t a : attrs.integers("axes")) flags[static_cast<size_t>(a < 0 ? a + x.rank() : a)] = true;
  return flags;
}

// Of a node of sum, mean or sum_to. The last reduces where the target has extent 1 or no axis, the others attr axes.
inline Axes summed_axes(const NodeSpec& n) {
  const Shape& x = n.in[0].shape;
  if (!n.attrs.has("shape")) return merge_axes(x, parse_axes(x, n.attrs));
  const Shape& y = n.out[0].shape;
  std::array<bool, Shape::kMaxRank> reduced{};
  for (int a = 0; a < x.rank(); ++a) {
    const int b = a - (x.rank() - y.rank());
    reduced[static_cast<size_t>(a)] = b < 0 || (y[b] == 1 && x[a] != 1);
  }
  return merge_axes(x, reduced);
}
// What its sums are multiplied by.
inline double sum_scale(const NodeSpec& n, const Axes& axes) {
  return std::string_view(n.op->name) == "mean" ? 1.0 / static_cast<double>(axes.terms > 0 ? axes.terms : 1) : 1.0;
}

}  // namespace winnow::detail
