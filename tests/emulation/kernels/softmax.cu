#include "tests/emulation/kernels/kernels.h"
#include "tests/emulation/kernels/reduce.h"

namespace winnow::kernels {

__global__ void __launch_bounds__(128)
    softmax_rows(const float* __restrict__ x, float* __restrict__ y, unsigned width) {
  WN_SHARED_DYN(float, row);  // the row, then a part of each warp
  float* parts = row + width;
  const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
  const float* in = x + size_t{blockIdx.x} * width;
  float largest = -INFINITY;
  for (unsigned i = threadIdx.x; i < width; i += blockDim.x) {
    row[i] = in[i];
    largest = fmaxf(largest, row[i]);
  }
  largest = warp_max(largest);
  if (lane == 0) parts[warp] = largest;
  __syncthreads();
  for (unsigned i = 0; i < warps; ++i) largest = fmaxf(largest, parts[i]);
  __syncthreads();
  float sum = 0.f;
  for (unsigned i = threadIdx.x; i < width; i += blockDim.x) {
    row[i] = expf(row[i] - largest);
    sum += row[i];
  }
  sum = warp_sum(sum);
  if (lane == 0) parts[warp] = sum;
  __syncthreads();
  sum = 0.f;
  for (unsigned i = 0; i < warps; ++i) sum += parts[i];
  float* out = y + size_t{blockIdx.x} * width;
  for (unsigned i = threadIdx.x; i < width; i += blockDim.x) out[i] = row[i] / sum;
}

cudaError_t softmax(const float* x, float* y, int rows, int width, cudaStream_t stream) {
  const size_t shared = (static_cast<size_t>(width) + 32) * sizeof(float);
  return cuda::launch(softmax_rows, dim3(unsigned(rows)), dim3(128), shared, stream, x, y, unsigned(width));
}

}  // namespace winnow::kernels
