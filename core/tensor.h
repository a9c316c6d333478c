// Tensor: a handle on reference-counted storage. Dense, row-major, contiguous, no strides.
#pragma once
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/allocator.h"
#include "core/dtype.h"
#include "core/shape.h"

namespace winnow {

struct TensorSpec {
  DType dtype = DType::F32;
  Shape shape;
  bool operator==(const TensorSpec&) const = default;
  size_t bytes() const { return static_cast<size_t>(shape.numel()) * size_of(dtype); }
  std::string str() const;  // "f32 [32, 128]"
};

class Tensor {
 public:
  Tensor() = default;                                                                // empty handle: defined() is false
  explicit Tensor(const TensorSpec& spec, Allocator& allocator = host_allocator());  // contents unspecified
  static Tensor zeros(const TensorSpec& spec, Allocator& allocator = host_allocator());
  // A tensor over memory that `owner` keeps alive (a file mapping, an arena).
  static Tensor view(const TensorSpec& spec, void* data, std::shared_ptr<void> owner, Device device = {});
  template <class T>
  static Tensor of(std::span<const T> values, const Shape& shape);  // copies
  template <class T>
  static Tensor of(std::initializer_list<T> values, const Shape& shape) {
    return of(std::span<const T>(values.begin(), values.size()), shape);
  }
  template <class T>
  static Tensor of(const std::vector<T>& values, const Shape& shape) {
    return of(std::span<const T>(values), shape);
  }

  bool defined() const { return data_ != nullptr; }
  const TensorSpec& spec() const { return spec_; }
  const Shape& shape() const { return spec_.shape; }
  DType dtype() const { return spec_.dtype; }
  Device device() const { return device_; }
  int64_t numel() const { return spec_.shape.numel(); }
  size_t bytes() const { return spec_.bytes(); }
  void* raw() const { return data_; }
  template <class T>
  T* data() const {  // DTypeError on a mismatch, DeviceError off the host
    check_access(dtype_of<T>());
    return static_cast<T*>(data_);
  }
  template <class T>
  std::span<T> span() const {
    return {data<T>(), static_cast<size_t>(numel())};
  }
  template <class T>
  T item() const {
    return *data<T>();
  }
  Tensor reshaped(const Shape& shape) const;      // shares storage; ShapeError if the sizes differ
  Tensor rows(int64_t begin, int64_t end) const;  // shares storage: rows of axis 0
  // On this device: itself where it lies there, else a copy, after all that was queued on either device.
  Tensor on(Device device) const;
  Tensor clone() const;                       // on the same device
  Tensor to(DType dtype) const;               // copy with elements converted; host memory only
  void copy_from(const Tensor& other) const;  // same spec; either may lie on a device

 private:
  void check_access(DType wanted) const;
  TensorSpec spec_;
  Device device_;
  void* data_ = nullptr;
  std::shared_ptr<void> owner_;
};

template <class T>
Tensor Tensor::of(std::span<const T> values, const Shape& shape) {
  Tensor t(TensorSpec{dtype_of<T>(), shape});
  WN_CHECK(static_cast<int64_t>(values.size()) == shape.numel(), ShapeError, "{} values given for a tensor of shape {}",
           values.size(), shape.str());
  std::copy(values.begin(), values.end(), t.data<T>());
  return t;
}

}  // namespace winnow
