// Kernels with one defect each: every one must be reported by the emulation (tests/emulation/wrong_kernels_test.cpp).
#include "tests/emulation/kernels/kernels.h"
#include "tests/emulation/kernels/reduce.h"

namespace winnow::kernels {

__global__ void write_beyond_end(float* p, unsigned n) {
  if (threadIdx.x <= n) p[threadIdx.x] = 1.f;
}
__global__ void misaligned_vector(const float* p, float* out) {
  const float4 v = *reinterpret_cast<const float4*>(p + 1);
  out[threadIdx.x] = v.x + v.y + v.z + v.w;
}
__global__ void shared_beyond_end(float* p, unsigned offset) {
  WN_SHARED(float, values, [32]);
  float* shifted = values;
  shifted[threadIdx.x + offset] = 1.f;
  __syncthreads();
  p[threadIdx.x] = shifted[threadIdx.x + offset];
}
__global__ void lost_updates(float* p) { p[0] += 1.f; }
__global__ void divergent_barrier(float* p) {
  if (threadIdx.x < 16) __syncthreads();
  p[threadIdx.x] = 1.f;
}
__global__ void two_barriers(float* p) {
  if (threadIdx.x < 16) {
    __syncthreads();
  } else {
    __syncthreads();
  }
  p[threadIdx.x] = 1.f;
}
__global__ void shuffle_mask(float* p) {
  float v = 1.f;
  if (threadIdx.x < 7) v = __shfl_xor_sync(kFullWarp, v, 1);
  p[threadIdx.x] = v;
}
__global__ void mask_without_self(float* p) {
  p[threadIdx.x] = __shfl_sync(0x0000ffffu, static_cast<float>(threadIdx.x), 0);
}
__global__ void read_unwritten(const float* p, float* out) { out[threadIdx.x] = p[threadIdx.x]; }
__global__ void unwritten_shared(float* out) {
  WN_SHARED(float, values, [64]);
  values[threadIdx.x] = 1.f;
  __syncthreads();
  out[threadIdx.x] = values[threadIdx.x + 32];
}
// volatile: the frame is really there, and touched at its far end.
__global__ void deep_stack(float* p) {
  volatile char frame[300000];
  for (unsigned i = 0; i < sizeof frame; i += 512) frame[i] = static_cast<char>(i);
  p[threadIdx.x] = static_cast<float>(frame[512]);
}
__global__ void store_one(float* p) { p[threadIdx.x] = 1.f; }
__global__ void neighbour_blocks(float* p) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  p[i] = 1.f;
  p[(i + blockDim.x) % (gridDim.x * blockDim.x)] = 2.f;
}
__global__ void warp_without_sync(float* out) {
  WN_SHARED(float, values, [32]);
  values[threadIdx.x] = static_cast<float>(threadIdx.x);
  out[threadIdx.x] = values[31 - threadIdx.x];
}

cudaError_t wrong(Wrong which, float* p, float* q, int n, cudaStream_t stream) {
  const dim3 one(1), warp(32);
  switch (which) {
    case Wrong::WriteBeyondEnd: return cuda::launch(write_beyond_end, one, dim3(128), 0, stream, p, unsigned(n));
    case Wrong::MisalignedVector: return cuda::launch(misaligned_vector, one, one, 0, stream, p, q);
    case Wrong::SharedBeyondEnd: return cuda::launch(shared_beyond_end, one, warp, 0, stream, p, 1u);
    case Wrong::LostUpdates: return cuda::launch(lost_updates, dim3(2), dim3(64), 0, stream, p);
    case Wrong::DivergentBarrier: return cuda::launch(divergent_barrier, one, warp, 0, stream, p);
    case Wrong::TwoBarriers: return cuda::launch(two_barriers, one, warp, 0, stream, p);
    case Wrong::ShuffleMask: return cuda::launch(shuffle_mask, one, warp, 0, stream, p);
    case Wrong::MaskWithoutSelf: return cuda::launch(mask_without_self, one, warp, 0, stream, p);
    case Wrong::ReadUnwritten: return cuda::launch(read_unwritten, one, warp, 0, stream, p, q);
    case Wrong::UnwrittenShared: return cuda::launch(unwritten_shared, one, warp, 0, stream, p);
    case Wrong::HostAccess: return *p > 0.f ? cudaSuccess : cudaErrorInvalidValue;
    case Wrong::DeepStack: return cuda::launch(deep_stack, one, one, 0, stream, p);
    case Wrong::HostPointer: return cuda::launch(store_one, one, one, 0, stream, static_cast<float*>(nullptr));
    case Wrong::NeighbourBlocks: return cuda::launch(neighbour_blocks, dim3(2), warp, 0, stream, p);
    case Wrong::WarpWithoutSync: return cuda::launch(warp_without_sync, one, warp, 0, stream, p);
  }
  return cudaErrorInvalidValue;
}

}  // namespace winnow::kernels
