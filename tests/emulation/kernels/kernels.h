// Small kernels of the kinds that Winnow will have, and wrong ones: what the emulation is tested on.
#pragma once
#include "core/cuda/cuda.h"

namespace winnow::kernels {

// y[r, :] = (x[r, :] - mean) / sqrt(var + 1e-5) * gamma + beta; one block a row, two barriers a sum.
cudaError_t layernorm(const float* x, const float* gamma, const float* beta, float* y, int rows, int width,
                      cudaStream_t stream);
cudaError_t layernorm_half(const __half* x, const float* gamma, const float* beta, __half* y, int rows, int width,
                           cudaStream_t stream);
// y[r, :] = softmax(x[r, :]); the row lies in dynamic shared memory.
cudaError_t softmax(const float* x, float* y, int rows, int width, cudaStream_t stream);

// table_gradient[id[k], :] += gradient[bag[k], :], with atomics; width is a multiple of 4.
cudaError_t embedding_bag_atomic(const int* ids, const int* bags, const float* gradient, float* table_gradient,
                                 int count, int width, int rows, cudaStream_t stream);
// The same in a fixed order: occurrences sorted by row, one warp a row that occurs; segments[i] is the first of row i.
cudaError_t embedding_bag_sorted(const int* rows, const int* segments, const int* bags, const float* gradient,
                                 float* table_gradient, int distinct, int width, cudaStream_t stream);

// C[m, n] = A[m, k] B[k, n], row-major, tiles of 16 x 16 in shared memory.
cudaError_t gemm(const float* a, const float* b, float* c, int m, int n, int k, cudaStream_t stream);
// C[m, n] = A[m, k] B[n, k]^T on the tensor cores, A by asynchronous copies; m % 16, n % 8 and k % 16 are 0.
// wait: false leaves out the wait for the copies.
cudaError_t tensor_core_gemm(const __nv_bfloat16* a, const __nv_bfloat16* b, float* c, int m, int n, int k, bool wait,
                             cudaStream_t stream);

// y = x^T of a square matrix whose width is a multiple of 32.
enum class Transpose { Direct, Tiled, PaddedTile };
cudaError_t transpose(const float* x, float* y, int width, Transpose how, cudaStream_t stream);

// counts[b], sums[b] of the positive x in block b (96 elements): barrier reductions, votes, shuffles of 64 bits.
cudaError_t count_positive(const float* x, int* counts, double* sums, int count, cudaStream_t stream);

// y[i] = -x[i]: neighbouring threads write neighbouring bytes.
cudaError_t negate_bytes(const signed char* x, signed char* y, int count, cudaStream_t stream);

cudaError_t axpy(float a, const float* x, float* y, int count, cudaStream_t stream);

// One defect each.
enum class Wrong {
  WriteBeyondEnd,    // p[0..n], one more than n
  MisalignedVector,  // a float4 at p + 1
  SharedBeyondEnd,   // one behind a shared array
  LostUpdates,       // += without an atomic
  DivergentBarrier,  // __syncthreads in a branch that half a warp takes
  TwoBarriers,       // both sides of a branch have their own __syncthreads
  ShuffleMask,       // a mask that names lanes which do not come
  MaskWithoutSelf,   // a mask that leaves out the caller
  ReadUnwritten,     // memory that nothing has written
  UnwrittenShared,   // the same in shared memory
  HostAccess,        // host code reads a device pointer
  DeepStack,         // a frame larger than a thread's stack
  HostPointer,       // a kernel writes to the null page
  NeighbourBlocks,   // blocks write each other's elements
  WarpWithoutSync,   // lanes of a warp exchange values through shared memory without __syncwarp
};
cudaError_t wrong(Wrong which, float* p, float* q, int n, cudaStream_t stream);

}  // namespace winnow::kernels
