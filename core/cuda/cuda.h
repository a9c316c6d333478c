// The one CUDA header that a .cu file includes. nvcc sees the real runtime; g++ and clang++ (-x c++) see the emulation,
// which has the same names and the toolkit's own prototypes, so that one source serves both (docs/gpu.md).
//
//   launch(kernel, grid, block, dynamic shared bytes, stream, arguments...)   instead of kernel<<<...>>>(...)
//   WN_SHARED(float, tile, [16][17]);      instead of __shared__ float tile[16][17];
//   WN_SHARED_DYN(float, row);             instead of extern __shared__; row is a float*
#pragma once
#include <cstddef>
#include <utility>

#if defined(__CUDACC__)
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#define WN_SHARED(T, name, dims) __shared__ T name dims
#define WN_SHARED_DYN(T, name)                                       \
  extern __shared__ __align__(16) unsigned char wn_dynamic_shared[]; \
  T* const name = reinterpret_cast<T*>(wn_dynamic_shared)

namespace winnow::cuda {

// Queues the kernel; arguments are converted to its parameter types and copied now. The result is the launch's own
// error only: what the kernel does wrong shows at the next synchronisation.
template <class... P, class... A>
cudaError_t launch(void (*kernel)(P...), dim3 grid, dim3 block, std::size_t dynamic_shared, cudaStream_t stream,
                   A&&... arguments) {
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = dynamic_shared;
  config.stream = stream;
  return cudaLaunchKernelEx(&config, kernel, static_cast<P>(std::forward<A>(arguments))...);
}

}  // namespace winnow::cuda
#else
#include "core/cuda/emulation/kernel_language.h"
#endif
