#include "core/shape.h"

#include <algorithm>

#include "core/error.h"

namespace winnow {

Shape::Shape(std::span<const int64_t> dims) {
  WN_CHECK(dims.size() <= kMaxRank, ShapeError, "shape has rank {}, at most {} is supported", dims.size(), kMaxRank);
  rank_ = static_cast<int32_t>(dims.size());
  int64_t product = 1;
  for (int a = 0; a < rank_; ++a) {
    const int64_t d = dims[static_cast<size_t>(a)];
    WN_CHECK(d >= 0, ShapeError, "shape has the negative extent {} at axis {}", d, a);
    WN_CHECK(!__builtin_mul_overflow(product, std::max<int64_t>(d, 1), &product) && product < (int64_t{1} << 56),
             ShapeError, "shape has too many elements: extent {} at axis {} overflows", d, a);
    dims_[static_cast<size_t>(a)] = d;
  }
}

int64_t Shape::numel() const {
  int64_t n = 1;
  for (const int64_t d : dims()) n *= d;
  return n;
}
int64_t Shape::outer(int axis) const {
  int64_t n = 1;
  for (int a = 0; a < axis; ++a) n *= (*this)[a];
  return n;
}
int64_t Shape::inner(int axis) const {
  int64_t n = 1;
  for (int a = axis + 1; a < rank_; ++a) n *= (*this)[a];
  return n;
}
Shape Shape::with(int axis, int64_t extent) const {
  auto dims = dims_;
  dims[static_cast<size_t>(axis)] = extent;
  return Shape(std::span<const int64_t>(dims.data(), static_cast<size_t>(rank_)));
}
Shape Shape::without(int axis) const {
  std::array<int64_t, kMaxRank> dims{};
  int n = 0;
  for (int a = 0; a < rank_; ++a)
    if (a != axis) dims[static_cast<size_t>(n++)] = (*this)[a];
  return Shape(std::span<const int64_t>(dims.data(), static_cast<size_t>(n)));
}
std::string Shape::str() const { return fmt::format("[{}]", fmt::join(dims(), ", ")); }

Shape broadcast(const Shape& a, const Shape& b) {
  const int rank = std::max(a.rank(), b.rank());
  std::array<int64_t, Shape::kMaxRank> dims{};
  for (int axis = 0; axis < rank; ++axis) {
    const int ia = axis - (rank - a.rank()), ib = axis - (rank - b.rank());
    const int64_t da = ia < 0 ? 1 : a[ia], db = ib < 0 ? 1 : b[ib];
    WN_CHECK(da == db || da == 1 || db == 1, ShapeError, "{} and {} do not broadcast: {} != {} at axis {}", a.str(),
             b.str(), da, db, axis);
    dims[static_cast<size_t>(axis)] = da == 1 ? db : da;
  }
  return Shape(std::span<const int64_t>(dims.data(), static_cast<size_t>(rank)));
}

}  // namespace winnow
