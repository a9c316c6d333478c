// Elements of the types that the matrix and tensor libraries take, as doubles.
#pragma once
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <library_types.h>

#include <cmath>
#include <cstddef>
#include <cstdint>

namespace winnow::emulation {

inline std::size_t element_bytes(cudaDataType_t type) {  // 0: not modelled
  switch (type) {
    case CUDA_R_64F: return 8;
    case CUDA_R_32F:
    case CUDA_R_32I: return 4;
    case CUDA_R_16F:
    case CUDA_R_16BF: return 2;
    case CUDA_R_8I: return 1;
    default: return 0;
  }
}
inline double load_element(const void* data, cudaDataType_t type, std::size_t i) {
  switch (type) {
    case CUDA_R_64F: return static_cast<const double*>(data)[i];
    case CUDA_R_32F: return static_cast<double>(static_cast<const float*>(data)[i]);
    case CUDA_R_32I: return static_cast<const std::int32_t*>(data)[i];
    case CUDA_R_16F: return static_cast<double>(__half2float(static_cast<const __half*>(data)[i]));
    case CUDA_R_16BF: return static_cast<double>(__bfloat162float(static_cast<const __nv_bfloat16*>(data)[i]));
    case CUDA_R_8I: return static_cast<const std::int8_t*>(data)[i];
    default: return 0;
  }
}
inline void store_element(void* data, cudaDataType_t type, std::size_t i, double value) {
  switch (type) {
    case CUDA_R_64F: static_cast<double*>(data)[i] = value; break;
    case CUDA_R_32F: static_cast<float*>(data)[i] = static_cast<float>(value); break;
    case CUDA_R_32I: static_cast<std::int32_t*>(data)[i] = static_cast<std::int32_t>(std::lrint(value)); break;
    case CUDA_R_16F: static_cast<__half*>(data)[i] = __double2half(value); break;
    case CUDA_R_16BF: static_cast<__nv_bfloat16*>(data)[i] = __double2bfloat16(value); break;
    case CUDA_R_8I: static_cast<std::int8_t*>(data)[i] = static_cast<std::int8_t>(std::lrint(value)); break;
    default: break;
  }
}

}  // namespace winnow::emulation
