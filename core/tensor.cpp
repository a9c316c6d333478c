#include "core/tensor.h"

#include "core/backend.h"

namespace winnow {

std::string TensorSpec::str() const { return fmt::format("{} {}", name_of(dtype), shape.str()); }

Tensor::Tensor(const TensorSpec& spec, Allocator& allocator) : spec_(spec), device_(allocator.device()) {
  const size_t bytes = spec.bytes();
  data_ = allocator.allocate(bytes);
  owner_ = std::shared_ptr<void>(data_, [&allocator, bytes](void* p) { allocator.deallocate(p, bytes); });
}

Tensor Tensor::zeros(const TensorSpec& spec, Allocator& allocator) {
  Tensor t(spec, allocator);
  backend_of(t.device_).fill_now(t.data_, 0, spec.bytes(), t.device_);
  return t;
}

Tensor Tensor::view(const TensorSpec& spec, void* data, std::shared_ptr<void> owner, Device device) {
  Tensor t;
  t.spec_ = spec;
  t.data_ = data;
  t.owner_ = std::move(owner);
  t.device_ = device;
  return t;
}

void Tensor::check_access(DType wanted) const {
  WN_CHECK(defined(), Error, "an empty tensor handle was read");
  WN_CHECK(spec_.dtype == wanted, DTypeError, "tensor holds {}, {} was asked for", spec_.str(), name_of(wanted));
  WN_CHECK(device_.kind == Device::CPU, DeviceError, "tensor {} lies on {}, not on the host", spec_.str(),
           device_.str());
}

Tensor Tensor::reshaped(const Shape& shape) const {
  WN_CHECK(shape.numel() == numel(), ShapeError, "cannot view {} as {}: {} != {} elements", spec_.shape.str(),
           shape.str(), numel(), shape.numel());
  Tensor t = *this;
  t.spec_.shape = shape;
  return t;
}

Tensor Tensor::rows(int64_t begin, int64_t end) const {
  WN_CHECK(spec_.shape.rank() > 0 && 0 <= begin && begin <= end && end <= spec_.shape[0], ShapeError,
           "rows [{}, {}) do not lie in {}", begin, end, spec_.shape.str());
  Tensor t = *this;
  t.spec_.shape = spec_.shape.with(0, end - begin);
  t.data_ = static_cast<char*>(data_) + static_cast<size_t>(begin * spec_.shape.inner(0)) * size_of(spec_.dtype);
  return t;
}

Tensor Tensor::on(Device device) const {
  if (device == device_) return *this;
  Tensor t(spec_, device_allocator(device));
  t.copy_from(*this);
  return t;
}

Tensor Tensor::clone() const {
  Tensor t(spec_, device_allocator(device_));
  t.copy_from(*this);
  return t;
}

void Tensor::copy_from(const Tensor& other) const {
  WN_CHECK(spec_ == other.spec_, ShapeError, "cannot copy {} into {}", other.spec_.str(), spec_.str());
  const Device device = device_.kind == Device::CPU ? other.device_ : device_;
  WN_CHECK(other.device_ == device || other.device_.kind == Device::CPU, DeviceError, "no copy from {} to {}",
           other.device_.str(), device_.str());
  backend_of(device).copy_now(data_, other.data_, bytes(), device);
}

namespace {

template <class From, class To>
void convert(const void* from, void* to, int64_t n) {
  const auto* f = static_cast<const From*>(from);
  auto* t = static_cast<To*>(to);
  for (int64_t i = 0; i < n; ++i) {
    if constexpr (std::is_same_v<From, bf16> || std::is_same_v<To, bf16>)
      t[i] = static_cast<To>(static_cast<float>(f[i]));
    else
      t[i] = static_cast<To>(f[i]);
  }
}

template <class F>
void visit_any(DType t, F&& f) {
  switch (t) {
    case DType::F32: return f.template operator()<float>();
    case DType::BF16: return f.template operator()<bf16>();
    case DType::F64: return f.template operator()<double>();
    case DType::I8: return f.template operator()<int8_t>();
    case DType::U8: return f.template operator()<uint8_t>();
    case DType::I32: return f.template operator()<int32_t>();
    case DType::I64: return f.template operator()<int64_t>();
  }
}

}  // namespace

Tensor Tensor::to(DType dtype) const {
  if (dtype == spec_.dtype) return clone();
  WN_CHECK(device_.kind == Device::CPU, DeviceError, "tensor {} lies on {}, not on the host", spec_.str(),
           device_.str());
  Tensor t(TensorSpec{dtype, spec_.shape});
  visit_any(spec_.dtype,
            [&]<class From>() { visit_any(dtype, [&]<class To>() { convert<From, To>(data_, t.data_, numel()); }); });
  return t;
}

}  // namespace winnow
