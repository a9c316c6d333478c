#include "tests/emulation/kernels/kernels.h"

namespace winnow::kernels {

constexpr unsigned kWidth = 32, kRows = 8;

__global__ void __launch_bounds__(256)
    transpose_direct(const float* __restrict__ x, float* __restrict__ y, unsigned width) {
  const unsigned column = blockIdx.x * kWidth + threadIdx.x, first = blockIdx.y * kWidth;
  for (unsigned r = threadIdx.y; r < kWidth; r += kRows)
    y[size_t{column} * width + first + r] = x[size_t{first + r} * width + column];
}

// kPad = 0: the lanes that read a column of the tile all want the same bank.
template <unsigned kPad>
__global__ void __launch_bounds__(256)
    transpose_tiled(const float* __restrict__ x, float* __restrict__ y, unsigned width) {
  WN_SHARED(float, tile, [kWidth][kWidth + kPad]);
  const unsigned left = blockIdx.x * kWidth, top = blockIdx.y * kWidth;
  for (unsigned r = threadIdx.y; r < kWidth; r += kRows)
    tile[r][threadIdx.x] = x[size_t{top + r} * width + left + threadIdx.x];
  __syncthreads();
  for (unsigned r = threadIdx.y; r < kWidth; r += kRows)
    y[size_t{left + r} * width + top + threadIdx.x] = tile[threadIdx.x][r];
}

cudaError_t transpose(const float* x, float* y, int width, Transpose how, cudaStream_t stream) {
  const dim3 grid(unsigned(width) / kWidth, unsigned(width) / kWidth), block(kWidth, kRows);
  switch (how) {
    case Transpose::Direct: return cuda::launch(transpose_direct, grid, block, 0, stream, x, y, unsigned(width));
    case Transpose::Tiled: return cuda::launch(transpose_tiled<0>, grid, block, 0, stream, x, y, unsigned(width));
    case Transpose::PaddedTile: return cuda::launch(transpose_tiled<1>, grid, block, 0, stream, x, y, unsigned(width));
  }
  return cudaErrorInvalidValue;
}

}  // namespace winnow::kernels
