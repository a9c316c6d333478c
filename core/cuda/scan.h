// Exclusive sums over the threads of a block, in thread order. Every thread takes part; blockDim.x is a multiple of 32
// and at most 1024.
#pragma once
#include "core/cuda/reduce.h"

namespace winnow::cuda {

template <class T>
struct Scanned {
  T before, total;  // of the threads in front of this one; of all
};
// parts: 33 elements of shared memory, which may be used again right after.
template <class T>
__device__ Scanned<T> block_scan(T value, T* parts) {
  const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
  T sum = value;
  for (unsigned distance = 1; distance < 32; distance *= 2) {
    const T other = __shfl_up_sync(kAllLanes, sum, distance);
    if (lane >= distance) sum += other;
  }
  if (lane == 31) parts[warp] = sum;
  __syncthreads();
  if (threadIdx.x == 0) {
    T all = 0;
    for (unsigned i = 0; i < warps; ++i) {
      const T part = parts[i];
      parts[i] = all;
      all += part;
    }
    parts[32] = all;
  }
  __syncthreads();
  const Scanned<T> result{parts[warp] + sum - value, parts[32]};
  __syncthreads();
  return result;
}

}  // namespace winnow::cuda
