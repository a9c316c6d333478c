#include "tests/emulation/kernels/kernels.h"
#include "tests/emulation/kernels/reduce.h"

namespace winnow::kernels {

template <class T>
__global__ void __launch_bounds__(256)
    layernorm_rows(const T* __restrict__ x, const float* __restrict__ gamma, const float* __restrict__ beta,
                   T* __restrict__ y, unsigned width, float epsilon) {
  WN_SHARED(float, parts, [32]);
  const unsigned warps = blockDim.x / 32, lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const T* row = x + size_t{blockIdx.x} * width;
  float sum = 0.f;
  for (unsigned i = threadIdx.x; i < width; i += blockDim.x) sum += static_cast<float>(row[i]);
  sum = warp_sum(sum);
  if (lane == 0) parts[warp] = sum;
  __syncthreads();
  float mean = 0.f;
  for (unsigned i = 0; i < warps; ++i) mean += parts[i];
  mean /= static_cast<float>(width);
  __syncthreads();  // parts is used again
  float squares = 0.f;
  for (unsigned i = threadIdx.x; i < width; i += blockDim.x) {
    const float d = static_cast<float>(row[i]) - mean;
    squares += d * d;
  }
  squares = warp_sum(squares);
  if (lane == 0) parts[warp] = squares;
  __syncthreads();
  float variance = 0.f;
  for (unsigned i = 0; i < warps; ++i) variance += parts[i];
  const float scale = rsqrtf(variance / static_cast<float>(width) + epsilon);
  T* out = y + size_t{blockIdx.x} * width;
  for (unsigned i = threadIdx.x; i < width; i += blockDim.x)
    out[i] = static_cast<T>((static_cast<float>(row[i]) - mean) * scale * gamma[i] + beta[i]);
}

cudaError_t layernorm(const float* x, const float* gamma, const float* beta, float* y, int rows, int width,
                      cudaStream_t stream) {
  return cuda::launch(layernorm_rows<float>, dim3(unsigned(rows)), dim3(128), 0, stream, x, gamma, beta, y,
                      unsigned(width), 1e-5f);
}
cudaError_t layernorm_half(const __half* x, const float* gamma, const float* beta, __half* y, int rows, int width,
                           cudaStream_t stream) {
  return cuda::launch(layernorm_rows<__half>, dim3(unsigned(rows)), dim3(128), 0, stream, x, gamma, beta, y,
                      unsigned(width), 1e-5f);
}

}  // namespace winnow::kernels
