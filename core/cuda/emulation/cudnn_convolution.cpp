// Two-dimensional convolution of the cuDNN stand-in, forward and both gradients, in the order of its definition. cuDNN
// documentation, section cudnnConvolutionForward: what is checked is its table of BAD_PARAM conditions.
#include <vector>

#include "core/cuda/emulation/api_lock.h"
#include "core/cuda/emulation/device_memory.h"
#include "core/cuda/emulation/element.h"
#include "core/cuda/emulation/handles.h"
#include "core/cuda/emulation/race_checker.h"
#include "core/cuda/emulation/stream.h"
#include "core/cuda/emulation/tensor_library.h"

using namespace winnow::emulation;

namespace {

struct Problem {
  cudnnTensorStruct x, y;
  cudnnFilterStruct w;
  cudnnConvolutionStruct c;
};

int output_size(const Problem& p, int axis) {  // axis 0: height, 1: width
  const int window = p.c.dilation[axis] * (p.w.size[2 + axis] - 1) + 1;
  return 1 + (p.x.size[2 + axis] + 2 * p.c.pad[axis] - window) / p.c.stride[axis];
}

const char* problem_with(const Problem& p) {
  if (p.x.type != p.w.type || p.x.type != p.y.type) return "x, w and y differ in type";
  if (p.x.size[1] != p.w.size[1] * p.c.groups) return "x has not the filter's channels times the groups";
  if (p.w.size[0] % p.c.groups) return "the output channels do not divide by the groups";
  if (p.y.size[0] != p.x.size[0] || p.y.size[1] != p.w.size[0]) return "y has not x's samples or w's output channels";
  if (p.y.size[2] != output_size(p, 0) || p.y.size[3] != output_size(p, 1)) return "y has not the convolution's size";
  return nullptr;
}

// visit(x index, w index, y index) of every product in the sum.
template <class F>
void for_each_product(const Problem& p, F visit) {
  const int per_group = p.w.size[0] / p.c.groups, taps = p.w.size[2] * p.w.size[3];
  const bool flip = p.c.mode == CUDNN_CONVOLUTION;
  const auto at = [](const cudnnTensorStruct& t, int n, int c, int h, int w) {
    return static_cast<std::size_t>(n * t.stride[0] + c * t.stride[1] + h * t.stride[2] + w * t.stride[3]);
  };
  const auto pixel = [&](int n, int k, int oh, int ow) {
    for (int c = 0; c < p.w.size[1]; ++c)
      for (int tap = 0; tap < taps; ++tap) {
        const int r = tap / p.w.size[3], s = tap % p.w.size[3];
        const int h = oh * p.c.stride[0] - p.c.pad[0] + r * p.c.dilation[0];
        const int w = ow * p.c.stride[1] - p.c.pad[1] + s * p.c.dilation[1];
        if (h < 0 || h >= p.x.size[2] || w < 0 || w >= p.x.size[3]) continue;
        const int weight = (k * p.w.size[1] + c) * taps + (flip ? taps - 1 - tap : tap);
        visit(at(p.x, n, k / per_group * p.w.size[1] + c, h, w), static_cast<std::size_t>(weight),
              at(p.y, n, k, oh, ow));
      }
  };
  for (int n = 0; n < p.y.size[0]; ++n)
    for (int k = 0; k < p.y.size[1]; ++k)
      for (int oh = 0; oh < p.y.size[2]; ++oh)
        for (int ow = 0; ow < p.y.size[3]; ++ow) pixel(n, k, oh, ow);
}

enum class Pass { Forward, Data, Filter };

struct Call {
  const char* name;
  Pass pass;
  Problem p;
  const void *x, *w, *y;  // the pass's output is one of them
  double alpha, beta;

  bool placed() const {
    return check_tensor(name, "x", x, tensor_bytes(p.x), p.x.type) &&
           check_tensor(name, "w", w, filter_bytes(p.w), p.w.type) &&
           check_tensor(name, "y", y, tensor_bytes(p.y), p.y.type);
  }
  void run() const {
    const cudaDataType_t type = cuda_type(p.x.type);
    const void* out = pass == Pass::Forward ? y : pass == Pass::Data ? x : w;
    const std::size_t bytes = pass == Pass::Filter ? filter_bytes(p.w) : tensor_bytes(pass == Pass::Data ? p.x : p.y);
    std::vector<double> sums(bytes / element_bytes(type));
    for_each_product(p, [&](std::size_t xi, std::size_t wi, std::size_t yi) {
      if (pass == Pass::Forward) sums[yi] += load_element(x, type, xi) * load_element(w, type, wi);
      if (pass == Pass::Data) sums[xi] += load_element(y, type, yi) * load_element(w, type, wi);
      if (pass == Pass::Filter) sums[wi] += load_element(x, type, xi) * load_element(y, type, yi);
    });
    for (std::size_t i = 0; i < sums.size(); ++i)
      store_element(const_cast<void*>(out), type, i,
                    alpha * sums[i] + (beta == 0 ? 0 : beta * load_element(out, type, i)));
    mark_written(out, bytes);
  }
};

double scalar(const void* pointer, cudnnDataType_t type) {
  return load_element(pointer, type == CUDNN_DATA_DOUBLE ? CUDA_R_64F : CUDA_R_32F, 0);
}

// What every algorithm but the implicit product needs, by this stand-in: the size of y.
std::size_t workspace_bytes(const Problem& p, int algorithm) { return algorithm == 0 ? 0 : tensor_bytes(p.y); }

struct Scalars {
  const void *alpha, *beta;
};
struct Workspace {
  const void* data;
  std::size_t bytes;
  int algorithm;
};

cudnnStatus_t enqueue_convolution(cudnnHandle_t handle, Call call, Scalars scalars, Workspace workspace) {
  if (const auto status = check_dnn_handle(handle, call.name); status != CUDNN_STATUS_SUCCESS) return status;
  if (const char* problem = problem_with(call.p)) return refuse_dnn(call.name, problem);
  if (!scalars.alpha || !scalars.beta) return refuse_dnn(call.name, "no alpha or beta");
  const std::size_t needed = workspace_bytes(call.p, workspace.algorithm);
  if (workspace.bytes < needed) return refuse_dnn(call.name, "less workspace than the algorithm needs");
  if (needed && !device_range(workspace.data, needed))
    return refuse_dnn(call.name, "the workspace is not device memory of that size");
  if (!call.placed()) return CUDNN_STATUS_BAD_PARAM;
  call.alpha = scalar(scalars.alpha, call.p.x.type);
  call.beta = scalar(scalars.beta, call.p.x.type);
  enqueue(handle->stream, call.name, [call] {
    if (!call.placed()) return;
    const AccessScope open(kAllDevices);
    call.run();
  });
  return CUDNN_STATUS_SUCCESS;
}

bool known_descriptors(cudnnTensorDescriptor_t x, cudnnFilterDescriptor_t w, cudnnConvolutionDescriptor_t c,
                       cudnnTensorDescriptor_t y) {
  return known(x) && known(w) && known(c) && known(y);
}

}  // namespace

extern "C" {

cudnnStatus_t cudnnCreateFilterDescriptor(cudnnFilterDescriptor_t* descriptor) {
  ApiLock lock;
  *descriptor = make_handle<cudnnFilterStruct>();
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnDestroyFilterDescriptor(cudnnFilterDescriptor_t descriptor) {
  ApiLock lock;
  return delete_handle(descriptor) ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_BAD_PARAM;
}
cudnnStatus_t cudnnSetFilter4dDescriptor(cudnnFilterDescriptor_t descriptor, cudnnDataType_t type,
                                         cudnnTensorFormat_t format, int k, int c, int h, int w) {
  ApiLock lock;
  constexpr const char* kCall = "cudnnSetFilter4dDescriptor";
  if (!known(descriptor)) return refuse_dnn(kCall, "no such descriptor");
  if (format != CUDNN_TENSOR_NCHW) return refuse_dnn(kCall, "a format that is not modelled");
  if (k <= 0 || c <= 0 || h <= 0 || w <= 0) return refuse_dnn(kCall, "sizes must be positive");
  *descriptor = {type, {k, c, h, w}};
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnCreateConvolutionDescriptor(cudnnConvolutionDescriptor_t* descriptor) {
  ApiLock lock;
  *descriptor = make_handle<cudnnConvolutionStruct>();
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnDestroyConvolutionDescriptor(cudnnConvolutionDescriptor_t descriptor) {
  ApiLock lock;
  return delete_handle(descriptor) ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_BAD_PARAM;
}
cudnnStatus_t cudnnSetConvolution2dDescriptor(cudnnConvolutionDescriptor_t descriptor, int pad_h, int pad_w, int u,
                                              int v, int dilation_h, int dilation_w, cudnnConvolutionMode_t mode,
                                              cudnnDataType_t) {
  ApiLock lock;
  constexpr const char* kCall = "cudnnSetConvolution2dDescriptor";
  if (!known(descriptor)) return refuse_dnn(kCall, "no such descriptor");
  if (pad_h < 0 || pad_w < 0) return refuse_dnn(kCall, "a negative padding");
  if (u <= 0 || v <= 0 || dilation_h <= 0 || dilation_w <= 0)
    return refuse_dnn(kCall, "strides and dilations must be positive");
  const int groups = descriptor->groups;
  *descriptor = {{pad_h, pad_w}, {u, v}, {dilation_h, dilation_w}, mode, groups};
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetConvolutionGroupCount(cudnnConvolutionDescriptor_t descriptor, int groups) {
  ApiLock lock;
  if (!known(descriptor) || groups < 1) return refuse_dnn("cudnnSetConvolutionGroupCount", "at least one group");
  descriptor->groups = groups;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnGetConvolutionForwardWorkspaceSize(cudnnHandle_t handle, const cudnnTensorDescriptor_t x,
                                                      const cudnnFilterDescriptor_t w,
                                                      const cudnnConvolutionDescriptor_t c,
                                                      const cudnnTensorDescriptor_t y, cudnnConvolutionFwdAlgo_t algo,
                                                      std::size_t* bytes) {
  ApiLock lock;
  constexpr const char* kCall = "cudnnGetConvolutionForwardWorkspaceSize";
  if (!known(handle) || !known_descriptors(x, w, c, y)) return refuse_dnn(kCall, "no such descriptor");
  *bytes = workspace_bytes({*x, *y, *w, *c}, algo);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnConvolutionForward(cudnnHandle_t handle, const void* alpha, const cudnnTensorDescriptor_t x_desc,
                                      const void* x, const cudnnFilterDescriptor_t w_desc, const void* w,
                                      const cudnnConvolutionDescriptor_t c_desc, cudnnConvolutionFwdAlgo_t algo,
                                      void* workspace, std::size_t bytes, const void* beta,
                                      const cudnnTensorDescriptor_t y_desc, void* y) {
  ApiLock lock;
  constexpr const char* kCall = "cudnnConvolutionForward";
  if (!known_descriptors(x_desc, w_desc, c_desc, y_desc)) return refuse_dnn(kCall, "no such descriptor");
  const Call call{kCall, Pass::Forward, {*x_desc, *y_desc, *w_desc, *c_desc}, x, w, y, 0, 0};
  return enqueue_convolution(handle, call, {alpha, beta}, {workspace, bytes, algo});
}
cudnnStatus_t cudnnConvolutionBackwardData(cudnnHandle_t handle, const void* alpha,
                                           const cudnnFilterDescriptor_t w_desc, const void* w,
                                           const cudnnTensorDescriptor_t dy_desc, const void* dy,
                                           const cudnnConvolutionDescriptor_t c_desc,
                                           cudnnConvolutionBwdDataAlgo_t algo, void* workspace, std::size_t bytes,
                                           const void* beta, const cudnnTensorDescriptor_t dx_desc, void* dx) {
  ApiLock lock;
  constexpr const char* kCall = "cudnnConvolutionBackwardData";
  if (!known_descriptors(dx_desc, w_desc, c_desc, dy_desc)) return refuse_dnn(kCall, "no such descriptor");
  const Call call{kCall, Pass::Data, {*dx_desc, *dy_desc, *w_desc, *c_desc}, dx, w, dy, 0, 0};
  return enqueue_convolution(handle, call, {alpha, beta}, {workspace, bytes, algo});
}
cudnnStatus_t cudnnConvolutionBackwardFilter(cudnnHandle_t handle, const void* alpha,
                                             const cudnnTensorDescriptor_t x_desc, const void* x,
                                             const cudnnTensorDescriptor_t dy_desc, const void* dy,
                                             const cudnnConvolutionDescriptor_t c_desc,
                                             cudnnConvolutionBwdFilterAlgo_t algo, void* workspace, std::size_t bytes,
                                             const void* beta, const cudnnFilterDescriptor_t dw_desc, void* dw) {
  ApiLock lock;
  constexpr const char* kCall = "cudnnConvolutionBackwardFilter";
  if (!known_descriptors(x_desc, dw_desc, c_desc, dy_desc)) return refuse_dnn(kCall, "no such descriptor");
  const Call call{kCall, Pass::Filter, {*x_desc, *dy_desc, *dw_desc, *c_desc}, x, dw, dy, 0, 0};
  return enqueue_convolution(handle, call, {alpha, beta}, {workspace, bytes, algo});
}
}
