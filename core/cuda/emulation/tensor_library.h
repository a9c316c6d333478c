// Shared by the cuDNN stand-in's files: descriptors, refusals, ranges.
#pragma once
#include <cudnn.h>

#include <cstdint>

struct cudnnContext {
  int device = 0;
  cudaStream_t stream = nullptr;
};
// [n, c, h, w] with strides in elements.
struct cudnnTensorStruct {
  cudnnDataType_t type = CUDNN_DATA_FLOAT;
  int size[4] = {0, 0, 0, 0};
  int stride[4] = {0, 0, 0, 0};
};
// [out channels, in channels, height, width], packed.
struct cudnnFilterStruct {
  cudnnDataType_t type = CUDNN_DATA_FLOAT;
  int size[4] = {0, 0, 0, 0};
};
struct cudnnConvolutionStruct {
  int pad[2] = {0, 0}, stride[2] = {1, 1}, dilation[2] = {1, 1};
  cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
  int groups = 1;
};

namespace winnow::emulation {

cudnnStatus_t refuse_dnn(const char* call, const char* problem, cudnnStatus_t status = CUDNN_STATUS_BAD_PARAM);
cudnnStatus_t check_dnn_handle(cudnnHandle_t handle, const char* call);
cudaDataType_t cuda_type(cudnnDataType_t type);  // of float, double, half, bfloat16
std::size_t tensor_bytes(const cudnnTensorStruct& t);
std::size_t filter_bytes(const cudnnFilterStruct& f);
// Every tensor inside one live block, of a modelled type and aligned to it; else reported.
bool check_tensor(const char* call, const char* name, const void* data, std::size_t bytes, cudnnDataType_t type);

}  // namespace winnow::emulation
