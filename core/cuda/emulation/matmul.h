// D = epilogue(alpha op(A) op(B) + beta C) for the cuBLAS and cuBLASLt stand-ins: arguments are checked at the call,
// operands again when the stream gets there, sums are in double. The result is as good as the output type allows, so a
// real library's differs by its rounding: compare with a tolerance.
#pragma once
#include <cublas_api.h>

#include <cstdint>

namespace winnow::emulation {

struct Matrix {
  const void* data = nullptr;
  cudaDataType_t type = CUDA_R_32F;
  bool row_major = false;
  std::int64_t rows = 0, cols = 0, ld = 0, batch_stride = 0;

  std::int64_t least_ld() const { return row_major ? cols : rows; }
  std::size_t index(std::int64_t row, std::int64_t col, std::int64_t batch) const {
    return static_cast<std::size_t>(batch * batch_stride + (row_major ? row * ld + col : col * ld + row));
  }
  std::size_t bytes(std::int64_t batches) const;  // from `data` to the end of the last element
};

// cublasLt.h, cublasLtEpilogue_t. GELU is x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))).
struct Epilogue {
  bool relu = false, gelu = false;                    // of the sum with the bias
  bool relu_gradient = false, gelu_gradient = false;  // multiplied by the derivative at aux
  bool writes_aux = false;                            // RELU_AUX: a bit mask; GELU_AUX: what goes into GELU
  bool adds_bias = false;
  enum class BiasGradient { None, OfD, OfA, OfB } bias_gradient = BiasGradient::None;
  void* bias = nullptr;
  cudaDataType_t bias_type = CUDA_R_32F;
  std::int64_t bias_stride = 0;  // between batches
  void* aux = nullptr;
  cudaDataType_t aux_type = CUDA_R_32F;
  std::int64_t aux_ld = 0, aux_stride = 0;

  bool uses_aux() const { return writes_aux || relu_gradient || gelu_gradient; }
  bool aux_is_bits() const { return relu || relu_gradient; }
};

struct Scale {
  double value = 0;
  const void* device = nullptr;  // read when the product runs
  cudaDataType_t type = CUDA_R_32F;
};

struct Matmul {
  const char* call = "";
  Matrix a, b, c, d;
  bool transpose_a = false, transpose_b = false;
  Scale alpha, beta;
  std::int64_t batches = 1;
  cublasComputeType_t compute = CUBLAS_COMPUTE_32F;
  bool tf32 = false;  // operands are rounded to 10 bits of mantissa
  Epilogue epilogue;

  std::int64_t m() const { return transpose_a ? a.cols : a.rows; }
  std::int64_t k() const { return transpose_a ? a.rows : a.cols; }
  std::int64_t n() const { return transpose_b ? b.rows : b.cols; }
};

// Reports what is wrong and returns the library's status, else queues the product.
cublasStatus_t enqueue_matmul(const Matmul& matmul, cudaStream_t stream);

// A host or device scalar, by the pointer mode; false (and a report) when it is in the other memory.
bool read_scale(const void* pointer, bool device_mode, cudaDataType_t type, const char* call, Scale* scale);
cublasStatus_t refuse(const char* call, const char* problem, cublasStatus_t status = CUBLAS_STATUS_INVALID_VALUE);

}  // namespace winnow::emulation
