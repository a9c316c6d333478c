// Sums and largest elements over a warp or a block, in one fixed order. Every thread of the block takes part;
// blockDim.x is a multiple of 32 and at most 1024. All threads get the result.
#pragma once
#include "core/cuda/cuda.h"

namespace winnow::cuda {

constexpr unsigned kAllLanes = 0xffffffffu;

struct Sum {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a + b;
  }
};
struct Largest {  // NaN where either is
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a > b || a != a ? a : b;
  }
};

template <class T, class F>
__device__ T warp_reduce(T value, F f) {
  for (int distance = 16; distance > 0; distance /= 2) value = f(value, __shfl_xor_sync(kAllLanes, value, distance));
  return value;
}

// parts: 33 elements of shared memory, which may be used again right after.
template <class T, class F>
__device__ T block_reduce(T value, F f, T* parts) {
  const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
  value = warp_reduce(value, f);
  if (lane == 0) parts[warp] = value;
  __syncthreads();
  if (threadIdx.x == 0) {
    T all = parts[0];
    for (unsigned i = 1; i < warps; ++i) all = f(all, parts[i]);
    parts[32] = all;
  }
  __syncthreads();
  value = parts[32];
  __syncthreads();
  return value;
}

}  // namespace winnow::cuda
