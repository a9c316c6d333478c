// What CUDA C++ has no name for: tensor-core products and asynchronous copies to shared memory. Inline PTX under nvcc;
// under the emulation the fragment layouts of the PTX ISA ("Warp-level matrix instructions", m16n8k16).
//
// mma_bf16(d, a, b): D[16, 8] += A[16, 16] B[16, 8], by one full warp. With g = lane / 4, t = lane % 4:
//   a[0..3] hold A[g or g+8][2t, 2t+1 or 2t+8, 2t+9] in the order (g, 2t) (g+8, 2t) (g, 2t+8) (g+8, 2t+8)
//   b[0..1] hold B[2t, 2t+1 or 2t+8, 2t+9][g];  d[0..3] hold D[g or g+8][2t, 2t+1]
// The order of the sixteen additions is the hardware's own: compare with a tolerance.
//
// copy_async16(shared, global): 16 bytes, both ends aligned to 16; the target is undefined until copy_async_wait.
// copy_async_commit() closes a group; copy_async_wait<N>() waits until at most N of this thread's groups are open.
// Other threads see the bytes after the next barrier only.
#pragma once
#include <cstdint>

#include "core/cuda/cuda.h"

#if !defined(__CUDACC__)
#include "core/cuda/emulation/tensor_core.h"
#endif

namespace winnow::cuda {

#if defined(__CUDACC__)
__device__ __forceinline__ void mma_bf16(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%0,%1,%2,%3};"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
__device__ __forceinline__ void copy_async16(void* shared, const void* global) {
  asm volatile(
      "cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(static_cast<unsigned>(__cvta_generic_to_shared(shared))),
      "l"(global)
      : "memory");
}
__device__ __forceinline__ void copy_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int kOpenGroups>
__device__ __forceinline__ void copy_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kOpenGroups) : "memory");
}
#else
using emulation::copy_async16;
using emulation::copy_async_commit;
using emulation::mma_bf16;
template <int kOpenGroups>
void copy_async_wait() {
  emulation::copy_async_wait(kOpenGroups);
}
#endif

}  // namespace winnow::cuda
