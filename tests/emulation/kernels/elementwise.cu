#include "tests/emulation/kernels/kernels.h"
#include "tests/emulation/kernels/reduce.h"

namespace winnow::kernels {

constexpr unsigned kThreads = 96;  // not a power of two

__global__ void __launch_bounds__(kThreads) count_positive_kernel(const float* __restrict__ x, int* __restrict__ counts,
                                                                  double* __restrict__ sums, unsigned count) {
  WN_SHARED(double, parts, [kThreads / 32]);
  const unsigned i = blockIdx.x * kThreads + threadIdx.x;
  const bool positive = i < count && x[i] > 0.f;
  const int in_block = __syncthreads_count(positive);
  double value = positive ? static_cast<double>(x[i]) : 0.0;
  for (unsigned lanes = 16; lanes > 0; lanes /= 2) value += __shfl_down_sync(kFullWarp, value, lanes);
  if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = value;
  const int in_warp = __popc(__ballot_sync(kFullWarp, positive));
  const bool some = __syncthreads_or(in_warp > 0) != 0;  // also the barrier behind parts
  if (threadIdx.x != 0) return;
  double total = 0;
  for (unsigned w = 0; w < kThreads / 32; ++w) total += parts[w];
  counts[blockIdx.x] = some ? in_block : 0;
  sums[blockIdx.x] = total;
}

cudaError_t count_positive(const float* x, int* counts, double* sums, int count, cudaStream_t stream) {
  const unsigned blocks = (unsigned(count) + kThreads - 1) / kThreads;
  return cuda::launch(count_positive_kernel, dim3(blocks), dim3(kThreads), 0, stream, x, counts, sums, unsigned(count));
}

__global__ void __launch_bounds__(256)
    axpy_kernel(float a, const float* __restrict__ x, float* __restrict__ y, unsigned count) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count) y[i] += a * x[i];
}

cudaError_t axpy(float a, const float* x, float* y, int count, cudaStream_t stream) {
  return cuda::launch(axpy_kernel, dim3((unsigned(count) + 255) / 256), dim3(256), 0, stream, a, x, y, unsigned(count));
}

__global__ void __launch_bounds__(256)
    negate_bytes_kernel(const signed char* __restrict__ x, signed char* __restrict__ y, unsigned count) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count) y[i] = static_cast<signed char>(-x[i]);
}

cudaError_t negate_bytes(const signed char* x, signed char* y, int count, cudaStream_t stream) {
  return cuda::launch(negate_bytes_kernel, dim3((unsigned(count) + 255) / 256), dim3(256), 0, stream, x, y,
                      unsigned(count));
}

}  // namespace winnow::kernels
