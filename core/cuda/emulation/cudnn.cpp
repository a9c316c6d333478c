// Stand-in for the part of cuDNN that Winnow calls: handles, descriptors, softmax. (Convolution:
// cudnn_convolution.cpp.) The graph API (cudnnBackend...) is not modelled.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/cuda/emulation/api_lock.h"
#include "core/cuda/emulation/device.h"
#include "core/cuda/emulation/device_memory.h"
#include "core/cuda/emulation/element.h"
#include "core/cuda/emulation/handles.h"
#include "core/cuda/emulation/options.h"
#include "core/cuda/emulation/race_checker.h"
#include "core/cuda/emulation/stream.h"
#include "core/cuda/emulation/tensor_library.h"

namespace winnow::emulation {

cudnnStatus_t refuse_dnn(const char* call, const char* problem, cudnnStatus_t status) {
  report("cudnn", fmt::format("{}: {}", call, problem));
  return status;
}
cudnnStatus_t check_dnn_handle(cudnnHandle_t handle, const char* call) {
  if (!known(handle)) return refuse_dnn(call, "no such handle", CUDNN_STATUS_NOT_INITIALIZED);
  if (handle->device != current_device()) return refuse_dnn(call, "the handle belongs to another device");
  return CUDNN_STATUS_SUCCESS;
}
cudaDataType_t cuda_type(cudnnDataType_t type) {
  switch (type) {
    case CUDNN_DATA_FLOAT: return CUDA_R_32F;
    case CUDNN_DATA_DOUBLE: return CUDA_R_64F;
    case CUDNN_DATA_HALF: return CUDA_R_16F;
    case CUDNN_DATA_BFLOAT16: return CUDA_R_16BF;
    default: return CUDA_C_8I;  // not modelled
  }
}
std::size_t tensor_bytes(const cudnnTensorStruct& t) {
  std::size_t last = 0;
  for (int i = 0; i < 4; ++i) last += static_cast<std::size_t>(t.size[i] - 1) * static_cast<std::size_t>(t.stride[i]);
  return (last + 1) * element_bytes(cuda_type(t.type));
}
std::size_t filter_bytes(const cudnnFilterStruct& f) {
  std::size_t count = 1;
  for (int size : f.size) count *= static_cast<std::size_t>(size);
  return count * element_bytes(cuda_type(f.type));
}
bool check_tensor(const char* call, const char* name, const void* data, std::size_t bytes, cudnnDataType_t type) {
  const std::size_t element = element_bytes(cuda_type(type));
  if (element == 0) {
    refuse_dnn(call, fmt::format("{} has a type that is not modelled", name).c_str());
    return false;
  }
  if (!device_range(data, bytes) || reinterpret_cast<std::uintptr_t>(data) % element) {
    refuse_dnn(call, fmt::format("{} is not inside one live device allocation, aligned to its element", name).c_str());
    return false;
  }
  return true;
}

}  // namespace winnow::emulation

using namespace winnow::emulation;

namespace {

// One slice of a softmax: INSTANCE is over c, h, w of a sample; CHANNEL is over c at a sample's pixel.
struct Slices {
  cudnnTensorStruct t;
  cudnnSoftmaxMode_t mode;
  bool by_channel() const { return mode == CUDNN_SOFTMAX_MODE_CHANNEL; }
  int count() const { return by_channel() ? t.size[0] * t.size[2] * t.size[3] : t.size[0]; }
  int length() const { return by_channel() ? t.size[1] : t.size[1] * t.size[2] * t.size[3]; }
  std::size_t at(int slice, int i) const {
    const int h_w = t.size[2] * t.size[3];
    const int n = by_channel() ? slice / h_w : slice, c = by_channel() ? i : i / h_w;
    const int pixel = by_channel() ? slice % h_w : i % h_w;
    return static_cast<std::size_t>(n * t.stride[0] + c * t.stride[1] + pixel / t.size[3] * t.stride[2] +
                                    pixel % t.size[3] * t.stride[3]);
  }
};

void softmax_slice(const Slices& s, int slice, cudnnSoftmaxAlgorithm_t algorithm, const void* x, void* y, double alpha,
                   double beta) {
  const cudaDataType_t type = cuda_type(s.t.type);
  double largest = -INFINITY, sum = 0;
  for (int i = 0; i < s.length(); ++i) largest = std::max(largest, load_element(x, type, s.at(slice, i)));
  for (int i = 0; i < s.length(); ++i) sum += std::exp(load_element(x, type, s.at(slice, i)) - largest);
  for (int i = 0; i < s.length(); ++i) {
    const std::size_t at = s.at(slice, i);
    const double shifted = load_element(x, type, at) - largest;
    const double value = algorithm == CUDNN_SOFTMAX_LOG ? shifted - std::log(sum) : std::exp(shifted) / sum;
    store_element(y, type, at, alpha * value + (beta == 0 ? 0 : beta * load_element(y, type, at)));
  }
}
void softmax_gradient_slice(const Slices& s, int slice, cudnnSoftmaxAlgorithm_t algorithm, const void* y,
                            const void* dy, void* dx, double alpha, double beta) {
  const cudaDataType_t type = cuda_type(s.t.type);
  const bool log = algorithm == CUDNN_SOFTMAX_LOG;
  double sum = 0;
  for (int i = 0; i < s.length(); ++i) {
    const std::size_t at = s.at(slice, i);
    sum += load_element(dy, type, at) * (log ? 1 : load_element(y, type, at));
  }
  for (int i = 0; i < s.length(); ++i) {
    const std::size_t at = s.at(slice, i);
    const double g = load_element(dy, type, at), v = load_element(y, type, at);
    const double value = log ? g - std::exp(v) * sum : v * (g - sum);
    store_element(dx, type, at, alpha * value + (beta == 0 ? 0 : beta * load_element(dx, type, at)));
  }
}

// alpha and beta are doubles for double tensors, floats for all others (cuDNN documentation, "Scaling Parameters").
double scalar(const void* pointer, cudnnDataType_t type) {
  return load_element(pointer, type == CUDNN_DATA_DOUBLE ? CUDA_R_64F : CUDA_R_32F, 0);
}
bool same_shape(const cudnnTensorStruct& a, const cudnnTensorStruct& b) {
  return a.type == b.type && std::equal(a.size, a.size + 4, b.size) && std::equal(a.stride, a.stride + 4, b.stride);
}

}  // namespace

extern "C" {

cudnnStatus_t cudnnCreate(cudnnHandle_t* handle) {
  ApiLock lock;
  if (check_driver() != cudaSuccess) return CUDNN_STATUS_NOT_INITIALIZED;
  *handle = make_handle<cudnnContext>(current_device());
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) {
  ApiLock lock;
  return delete_handle(handle) ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_NOT_INITIALIZED;
}
cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
  ApiLock lock;
  if (!known(handle)) return CUDNN_STATUS_NOT_INITIALIZED;
  if (!valid_stream(stream) || device_of_stream(stream) != handle->device)
    return refuse_dnn("cudnnSetStream", "no stream of the handle's device");
  handle->stream = stream;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnCreateTensorDescriptor(cudnnTensorDescriptor_t* descriptor) {
  ApiLock lock;
  *descriptor = make_handle<cudnnTensorStruct>();
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnDestroyTensorDescriptor(cudnnTensorDescriptor_t descriptor) {
  ApiLock lock;
  return delete_handle(descriptor) ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_BAD_PARAM;
}
cudnnStatus_t cudnnSetTensor4dDescriptor(cudnnTensorDescriptor_t descriptor, cudnnTensorFormat_t format,
                                         cudnnDataType_t type, int n, int c, int h, int w) {
  ApiLock lock;
  constexpr const char* kCall = "cudnnSetTensor4dDescriptor";
  if (!known(descriptor)) return refuse_dnn(kCall, "no such descriptor");
  if (n <= 0 || c <= 0 || h <= 0 || w <= 0) return refuse_dnn(kCall, "sizes must be positive");
  const bool last = format == CUDNN_TENSOR_NHWC;
  if (!last && format != CUDNN_TENSOR_NCHW) return refuse_dnn(kCall, "a format that is not modelled");
  *descriptor = {type, {n, c, h, w}, {c * h * w, last ? 1 : h * w, last ? w * c : w, last ? c : 1}};
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSoftmaxForward(cudnnHandle_t handle, cudnnSoftmaxAlgorithm_t algorithm, cudnnSoftmaxMode_t mode,
                                  const void* alpha, const cudnnTensorDescriptor_t x_desc, const void* x,
                                  const void* beta, const cudnnTensorDescriptor_t y_desc, void* y) {
  ApiLock lock;
  constexpr const char* kCall = "cudnnSoftmaxForward";
  if (const auto status = check_dnn_handle(handle, kCall); status != CUDNN_STATUS_SUCCESS) return status;
  if (!known(x_desc) || !known(y_desc) || !alpha || !beta) return refuse_dnn(kCall, "a null argument");
  if (!same_shape(*x_desc, *y_desc)) return refuse_dnn(kCall, "x and y differ in shape or type");
  const Slices slices{*x_desc, mode};
  const std::size_t bytes = tensor_bytes(slices.t);
  if (!check_tensor(kCall, "x", x, bytes, slices.t.type) || !check_tensor(kCall, "y", y, bytes, slices.t.type))
    return CUDNN_STATUS_BAD_PARAM;
  const double a = scalar(alpha, slices.t.type), b = scalar(beta, slices.t.type);
  enqueue(handle->stream, kCall, [=] {
    if (!check_tensor(kCall, "x", x, bytes, slices.t.type) || !check_tensor(kCall, "y", y, bytes, slices.t.type))
      return;
    const AccessScope open(kAllDevices);
    for (int s = 0; s < slices.count(); ++s) softmax_slice(slices, s, algorithm, x, y, a, b);
    mark_written(y, bytes);
  });
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSoftmaxBackward(cudnnHandle_t handle, cudnnSoftmaxAlgorithm_t algorithm, cudnnSoftmaxMode_t mode,
                                   const void* alpha, const cudnnTensorDescriptor_t y_desc, const void* y,
                                   const cudnnTensorDescriptor_t dy_desc, const void* dy, const void* beta,
                                   const cudnnTensorDescriptor_t dx_desc, void* dx) {
  ApiLock lock;
  constexpr const char* kCall = "cudnnSoftmaxBackward";
  if (const auto status = check_dnn_handle(handle, kCall); status != CUDNN_STATUS_SUCCESS) return status;
  if (!known(y_desc) || !known(dy_desc) || !known(dx_desc) || !alpha || !beta)
    return refuse_dnn(kCall, "a null argument");
  if (!same_shape(*y_desc, *dy_desc) || !same_shape(*y_desc, *dx_desc))
    return refuse_dnn(kCall, "y, dy and dx differ in shape or type");
  const Slices slices{*y_desc, mode};
  const std::size_t bytes = tensor_bytes(slices.t);
  const cudnnDataType_t type = slices.t.type;
  const auto placed = [=] {
    return check_tensor(kCall, "y", y, bytes, type) && check_tensor(kCall, "dy", dy, bytes, type) &&
           check_tensor(kCall, "dx", dx, bytes, type);
  };
  if (!placed()) return CUDNN_STATUS_BAD_PARAM;
  const double a = scalar(alpha, type), b = scalar(beta, type);
  enqueue(handle->stream, kCall, [=] {
    if (!placed()) return;
    const AccessScope open(kAllDevices);
    for (int s = 0; s < slices.count(); ++s) softmax_gradient_slice(slices, s, algorithm, y, dy, dx, a, b);
    mark_written(dx, bytes);
  });
  return CUDNN_STATUS_SUCCESS;
}
}
