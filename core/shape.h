// Shape of a dense row-major tensor: rank <= 6, int64 extents, no heap.
#pragma once
#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

namespace winnow {

class Shape {
 public:
  static constexpr int kMaxRank = 6;
  Shape() = default;  // rank 0: one element
  Shape(std::initializer_list<int64_t> dims) : Shape(std::span<const int64_t>(dims.begin(), dims.size())) {}
  explicit Shape(std::span<const int64_t> dims);  // ShapeError: rank > 6, a negative extent, product overflow

  int rank() const { return rank_; }
  int64_t operator[](int axis) const { return dims_[static_cast<size_t>(axis)]; }
  int64_t back() const { return rank_ == 0 ? 1 : dims_[static_cast<size_t>(rank_ - 1)]; }
  int64_t numel() const;          // product of the extents
  int64_t outer(int axis) const;  // product of the extents before axis
  int64_t inner(int axis) const;  // product of the extents after axis
  std::span<const int64_t> dims() const { return {dims_.data(), static_cast<size_t>(rank_)}; }
  Shape with(int axis, int64_t extent) const;  // this shape with one extent replaced
  Shape without(int axis) const;               // this shape with one axis removed
  std::string str() const;                     // "[32, 128]"
  bool operator==(const Shape&) const = default;

 private:
  std::array<int64_t, kMaxRank> dims_{};
  int32_t rank_ = 0;
};

// NumPy broadcasting of two shapes; ShapeError names both where an extent is neither equal nor 1.
Shape broadcast(const Shape& a, const Shape& b);

}  // namespace winnow
