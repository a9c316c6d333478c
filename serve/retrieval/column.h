// Rows of numbers that grow: in memory of their own or, until the first change, in a mapped file.
#pragma once
#include <algorithm>
#include <cstring>

#include "core/tensor.h"

namespace winnow {

template <class T>
class Column {
 public:
  explicit Column(int64_t width) : width_(width) {}
  int64_t rows() const { return rows_; }
  int64_t width() const { return width_; }
  const T* row(int64_t r) const { return data_ + r * width_; }
  const T* data() const { return data_; }
  T* writable(int64_t r) {
    if (!owned_) reserve(rows_);
    return static_cast<T*>(tensor_.raw()) + r * width_;
  }
  // [rows, width], may be read-only.
  void map(const Tensor& tensor) {
    tensor_ = tensor;
    data_ = tensor.data<T>();
    rows_ = tensor.shape()[0];
    capacity_ = rows_;
    owned_ = false;
  }
  void resize(int64_t rows, T fill) {
    if (!owned_ || rows > capacity_) reserve(rows_ == 0 ? rows : std::max(rows, rows_ + rows_ / 2));
    T* to = static_cast<T*>(tensor_.raw());
    if (rows > rows_) std::fill(to + rows_ * width_, to + rows * width_, fill);
    rows_ = rows;
  }
  // The rows as a tensor, for a file.
  Tensor tensor() const {
    return rows_ == 0 ? Tensor::zeros({dtype_of<T>(), {0, width_}})
                      : Tensor::view({dtype_of<T>(), {rows_, width_}}, tensor_.raw(), nullptr);
  }

 private:
  void reserve(int64_t capacity) {
    Tensor larger({dtype_of<T>(), {capacity, width_}});
    if (rows_ > 0) std::memcpy(larger.raw(), data_, static_cast<size_t>(rows_ * width_) * sizeof(T));
    tensor_ = larger;
    data_ = static_cast<const T*>(larger.raw());
    capacity_ = capacity;
    owned_ = true;
  }
  int64_t width_, rows_ = 0, capacity_ = 0;
  Tensor tensor_;
  const T* data_ = nullptr;
  bool owned_ = false;
};

}  // namespace winnow
