#include "tests/emulation/kernels/kernels.h"

namespace winnow::kernels {

constexpr unsigned kTile = 16;

__global__ void __launch_bounds__(256) gemm_tiled(const float* __restrict__ a, const float* __restrict__ b,
                                                  float* __restrict__ c, unsigned m, unsigned n, unsigned k) {
  WN_SHARED(float, a_tile, [kTile][kTile + 1]);
  WN_SHARED(float, b_tile, [kTile][kTile + 1]);
  const unsigned x = threadIdx.x, y = threadIdx.y, row = blockIdx.y * kTile + y, column = blockIdx.x * kTile + x;
  float sum = 0.f;
  for (unsigned first = 0; first < k; first += kTile) {
    a_tile[y][x] = row < m && first + x < k ? a[size_t{row} * k + first + x] : 0.f;
    b_tile[y][x] = column < n && first + y < k ? b[size_t{first + y} * n + column] : 0.f;
    __syncthreads();
    for (unsigned i = 0; i < kTile; ++i) sum = fmaf(a_tile[y][i], b_tile[i][x], sum);
    __syncthreads();  // the tiles are filled again
  }
  if (row < m && column < n) c[size_t{row} * n + column] = sum;
}

cudaError_t gemm(const float* a, const float* b, float* c, int m, int n, int k, cudaStream_t stream) {
  const dim3 grid((unsigned(n) + kTile - 1) / kTile, (unsigned(m) + kTile - 1) / kTile);
  return cuda::launch(gemm_tiled, grid, dim3(kTile, kTile), 0, stream, a, b, c, unsigned(m), unsigned(n), unsigned(k));
}

}  // namespace winnow::kernels
