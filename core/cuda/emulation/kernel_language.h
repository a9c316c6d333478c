// The device side of CUDA C++ for the host compiler: what a .cu file may use. Types and prototypes are the toolkit's
// own headers, so a wrong signature does not compile. cuda_runtime.h stays out: it is for nvcc's host side.
#pragma once
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime_api.h>
#include <vector_functions.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <tuple>
#include <type_traits>
#include <utility>

#include "core/cuda/emulation/shared_memory.h"
#include "core/cuda/emulation/stream.h"
#include "core/cuda/emulation/thread.h"

#undef __global__
#undef __device__
#undef __host__
#undef __shared__
#undef __constant__
#undef __launch_bounds__
#undef __forceinline__
#undef __grid_constant__
#define __global__
#define __device__
#define __host__
#define __constant__ static
#define __launch_bounds__(...)
#define __forceinline__ inline
#define __grid_constant__
#define __shared__ static_assert(false, "use WN_SHARED or WN_SHARED_DYN: core/cuda/cuda.h");

#define threadIdx (::winnow::emulation::current_thread->index)
#define blockIdx (::winnow::emulation::current_thread->block)
#define blockDim (::winnow::emulation::block_dimensions)
#define gridDim (::winnow::emulation::grid_dimensions)
inline constexpr int warpSize = 32;

#define WN_SHARED(T, name, dims)                     \
  using wn_shared_type_##name = T dims;              \
  static const char wn_shared_key_##name = 0;        \
  auto& name = *static_cast<wn_shared_type_##name*>( \
      ::winnow::emulation::static_shared(&wn_shared_key_##name, sizeof(wn_shared_type_##name)))
#define WN_SHARED_DYN(T, name) T* const name = static_cast<T*>(::winnow::emulation::dynamic_shared())

#include "core/cuda/emulation/kernel_functions.h"

namespace winnow::cuda {

template <class... P, class... A>
cudaError_t launch(void (*kernel)(P...), dim3 grid, dim3 block, std::size_t dynamic_shared, cudaStream_t stream,
                   A&&... arguments) {
  static_assert((std::is_trivially_copyable_v<std::decay_t<P>> && ...), "kernel parameters are copied as bytes");
  std::tuple<std::decay_t<P>...> copies(static_cast<P>(std::forward<A>(arguments))...);
  return emulation::enqueue_launch(reinterpret_cast<const void*>(kernel), grid, block, dynamic_shared, stream,
                                   [kernel, copies] { std::apply(kernel, copies); });
}

}  // namespace winnow::cuda
