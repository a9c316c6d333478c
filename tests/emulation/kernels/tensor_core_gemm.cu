#include "core/cuda/ptx.h"
#include "tests/emulation/kernels/kernels.h"

namespace winnow::kernels {

__device__ __forceinline__ std::uint32_t pair_at(const __nv_bfloat16* p) {
  return *reinterpret_cast<const std::uint32_t*>(p);
}

// One warp a tile of 16 x 8.
template <bool kWait>
__global__ void __launch_bounds__(32)
    tensor_core_gemm_kernel(const __nv_bfloat16* __restrict__ a, const __nv_bfloat16* __restrict__ b,
                            float* __restrict__ c, unsigned n, unsigned k) {
  WN_SHARED(__nv_bfloat16, tile, [16][16]);
  const unsigned lane = threadIdx.x, g = lane / 4, t = lane % 4;
  const size_t row = size_t{blockIdx.y} * 16, column = size_t{blockIdx.x} * 8;
  float d[4] = {0.f, 0.f, 0.f, 0.f};
  for (unsigned first = 0; first < k; first += 16) {
    cuda::copy_async16(&tile[lane / 2][lane % 2 * 8], a + (row + lane / 2) * k + first + lane % 2 * 8);
    cuda::copy_async_commit();
    if (kWait) cuda::copy_async_wait<0>();
    __syncwarp();
    const std::uint32_t fa[4] = {pair_at(&tile[g][t * 2]), pair_at(&tile[g + 8][t * 2]), pair_at(&tile[g][t * 2 + 8]),
                                 pair_at(&tile[g + 8][t * 2 + 8])};
    const __nv_bfloat16* b_row = b + (column + g) * k + first + t * 2;
    const std::uint32_t fb[2] = {pair_at(b_row), pair_at(b_row + 8)};
    cuda::mma_bf16(d, fa, fb);
    __syncwarp();  // the tile is filled again
  }
  for (unsigned i = 0; i < 4; ++i) c[(row + g + (i >= 2 ? 8 : 0)) * n + column + t * 2 + i % 2] = d[i];
}

cudaError_t tensor_core_gemm(const __nv_bfloat16* a, const __nv_bfloat16* b, float* c, int m, int n, int k, bool wait,
                             cudaStream_t stream) {
  if (m % 16 || n % 8 || k % 16) return cudaErrorInvalidValue;
  return cuda::launch(wait ? tensor_core_gemm_kernel<true> : tensor_core_gemm_kernel<false>,
                      dim3(unsigned(n / 8), unsigned(m / 16)), dim3(32), 0, stream, a, b, c, unsigned(n), unsigned(k));
}

}  // namespace winnow::kernels
