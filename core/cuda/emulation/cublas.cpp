// Stand-in for the part of cuBLAS that Winnow calls.
#include <cublas_v2.h>

#include "core/cuda/emulation/api_lock.h"
#include "core/cuda/emulation/device.h"
#include "core/cuda/emulation/device_memory.h"
#include "core/cuda/emulation/handles.h"
#include "core/cuda/emulation/matmul.h"
#include "core/cuda/emulation/stream.h"

struct cublasContext {
  int device = 0;
  cudaStream_t stream = nullptr;
  cublasMath_t math = CUBLAS_DEFAULT_MATH;
  cublasPointerMode_t pointers = CUBLAS_POINTER_MODE_HOST;
};

using namespace winnow::emulation;

namespace {

cublasStatus_t check_handle(cublasHandle_t handle, const char* call) {
  if (!known(handle)) return refuse(call, "no such handle", CUBLAS_STATUS_NOT_INITIALIZED);
  if (handle->device != current_device())
    return refuse(call, "the handle belongs to another device than the current one");
  return CUBLAS_STATUS_SUCCESS;
}

struct Operand {
  const void* data;
  cudaDataType_t type;
  std::int64_t ld, stride;
};

// Column-major, as all of cuBLAS.
Matrix matrix(const Operand& o, std::int64_t rows, std::int64_t cols) {
  return {o.data, o.type, false, rows, cols, o.ld, o.stride};
}

cublasStatus_t gemm(cublasHandle_t handle, const char* call, cublasOperation_t ta, cublasOperation_t tb, int m, int n,
                    int k, const void* alpha, const Operand& a, const Operand& b, const void* beta, const Operand& c,
                    int batches, cublasComputeType_t compute) {
  ApiLock lock;
  if (const cublasStatus_t status = check_handle(handle, call); status != CUBLAS_STATUS_SUCCESS) return status;
  if (m < 0 || n < 0 || k < 0) return refuse(call, "a negative dimension");
  Matmul x;
  x.call = call;
  x.transpose_a = ta != CUBLAS_OP_N;
  x.transpose_b = tb != CUBLAS_OP_N;
  x.a = x.transpose_a ? matrix(a, k, m) : matrix(a, m, k);
  x.b = x.transpose_b ? matrix(b, n, k) : matrix(b, k, n);
  x.c = x.d = matrix(c, m, n);
  x.batches = batches;
  x.compute = compute;
  x.tf32 =
      a.type == CUDA_R_32F && (compute == CUBLAS_COMPUTE_32F_FAST_TF32 || handle->math == CUBLAS_TF32_TENSOR_OP_MATH);
  const cudaDataType_t scale = compute == CUBLAS_COMPUTE_64F   ? CUDA_R_64F
                               : compute == CUBLAS_COMPUTE_32I ? CUDA_R_32I
                                                               : CUDA_R_32F;
  const bool device_mode = handle->pointers == CUBLAS_POINTER_MODE_DEVICE;
  if (!read_scale(alpha, device_mode, scale, call, &x.alpha) || !read_scale(beta, device_mode, scale, call, &x.beta))
    return CUBLAS_STATUS_INVALID_VALUE;
  return enqueue_matmul(x, handle->stream);
}

}  // namespace

extern "C" {

cublasStatus_t cublasCreate_v2(cublasHandle_t* handle) {
  ApiLock lock;
  if (check_driver() != cudaSuccess) return CUBLAS_STATUS_NOT_INITIALIZED;
  *handle = make_handle<cublasContext>(current_device());
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasDestroy_v2(cublasHandle_t handle) {
  ApiLock lock;
  return delete_handle(handle) ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_INITIALIZED;
}
cublasStatus_t cublasSetStream_v2(cublasHandle_t handle, cudaStream_t stream) {
  ApiLock lock;
  if (!known(handle)) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (!valid_stream(stream)) return refuse("cublasSetStream", "no such stream");
  if (device_of_stream(stream) != handle->device) return refuse("cublasSetStream", "a stream of another device");
  handle->stream = stream;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t mode) {
  ApiLock lock;
  if (!known(handle)) return CUBLAS_STATUS_NOT_INITIALIZED;
  handle->math = mode;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetPointerMode_v2(cublasHandle_t handle, cublasPointerMode_t mode) {
  ApiLock lock;
  if (!known(handle)) return CUBLAS_STATUS_NOT_INITIALIZED;
  handle->pointers = mode;
  return CUBLAS_STATUS_SUCCESS;
}
// cuBLAS documentation, section cublasSetWorkspace: aligned to 256 bytes.
cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t handle, void* workspace, std::size_t bytes) {
  ApiLock lock;
  if (!known(handle)) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (!device_range(workspace, bytes)) return refuse("cublasSetWorkspace", "not device memory of that size");
  if (reinterpret_cast<std::uintptr_t>(workspace) % 256)
    return refuse("cublasSetWorkspace", "not aligned to 256 bytes");
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGemmStridedBatchedEx(cublasHandle_t handle, cublasOperation_t ta, cublasOperation_t tb, int m,
                                          int n, int k, const void* alpha, const void* a, cudaDataType a_type, int lda,
                                          long long stride_a, const void* b, cudaDataType b_type, int ldb,
                                          long long stride_b, const void* beta, void* c, cudaDataType c_type, int ldc,
                                          long long stride_c, int batches, cublasComputeType_t compute,
                                          cublasGemmAlgo_t) {
  return gemm(handle, "cublasGemmStridedBatchedEx", ta, tb, m, n, k, alpha, {a, a_type, lda, stride_a},
              {b, b_type, ldb, stride_b}, beta, {c, c_type, ldc, stride_c}, batches, compute);
}
cublasStatus_t cublasGemmEx(cublasHandle_t handle, cublasOperation_t ta, cublasOperation_t tb, int m, int n, int k,
                            const void* alpha, const void* a, cudaDataType a_type, int lda, const void* b,
                            cudaDataType b_type, int ldb, const void* beta, void* c, cudaDataType c_type, int ldc,
                            cublasComputeType_t compute, cublasGemmAlgo_t) {
  return gemm(handle, "cublasGemmEx", ta, tb, m, n, k, alpha, {a, a_type, lda, 0}, {b, b_type, ldb, 0}, beta,
              {c, c_type, ldc, 0}, 1, compute);
}
cublasStatus_t cublasSgemm_v2(cublasHandle_t handle, cublasOperation_t ta, cublasOperation_t tb, int m, int n, int k,
                              const float* alpha, const float* a, int lda, const float* b, int ldb, const float* beta,
                              float* c, int ldc) {
  return gemm(handle, "cublasSgemm", ta, tb, m, n, k, alpha, {a, CUDA_R_32F, lda, 0}, {b, CUDA_R_32F, ldb, 0}, beta,
              {c, CUDA_R_32F, ldc, 0}, 1, CUBLAS_COMPUTE_32F);
}
}
