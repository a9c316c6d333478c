// Matrix products by cuBLASLt, planned once: layouts, epilogue, algorithm and workspace.
#pragma once
#include <cublasLt.h>

#include "core/cuda/stream.h"
#include "core/dtype.h"

namespace winnow::cuda {

// D [m, n] = op(A) op(B) + C + bias [n] for each of `batches`, row-major and dense. Sums are f32; so are A and B, read
// as they are or as TF32, or they are bf16; so are C, D and bias, or with bf16 A and B they are bf16 (bf16_out).
struct Product {
  int64_t m = 0, n = 0, k = 0;  // none is 0
  bool trans_a = false, trans_b = false;
  int64_t batches = 1;
  bool adds_c = false, adds_bias = false;
  bool relu = false;  // D = max(0, the sum)
  Precision precision = Precision::F32;
  bool bf16_out = false;
};

class MatmulPlan {
 public:
  // measure: the fastest of the heuristic's proposals on operands of its own; false: the first, the same in every run.
  MatmulPlan(const Product& product, Device device, bool measure);
  ~MatmulPlan();
  MatmulPlan(const MatmulPlan&) = delete;
  MatmulPlan& operator=(const MatmulPlan&) = delete;
  size_t workspace_bytes() const { return workspace_bytes_; }
  // All operands start at 16 bytes. c may be d; c and bias are read where the product adds them.
  void run(const void* a, const void* b, const void* c, const void* bias, void* d, void* workspace,
           cudaStream_t stream) const;

 private:
  void choose(const Product& product, bool measure);
  cublasLtHandle_t handle_ = nullptr;
  cublasLtMatmulDesc_t description_ = nullptr;
  cublasLtMatrixLayout_t first_ = nullptr, second_ = nullptr, result_ = nullptr;
  cublasLtMatmulAlgo_t algorithm_{};
  size_t workspace_bytes_ = 0;
  bool adds_c_ = false, adds_bias_ = false;
};

}  // namespace winnow::cuda
