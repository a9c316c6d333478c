// What CUDA C++ has no name for: tensor-core products, loads of their operands, asynchronous copies to shared memory.
// Inline PTX under nvcc; under the emulation the fragment layouts of the PTX ISA ("Warp-level matrix instructions":
// m16n8k16, ldmatrix).
//
// mma_bf16(d, a, b): D[16, 8] += A[16, 16] B[16, 8], by one full warp. With g = lane / 4, t = lane % 4:
//   a[0..3] hold A[g or g+8][2t, 2t+1 or 2t+8, 2t+9] in the order (g, 2t) (g+8, 2t) (g, 2t+8) (g+8, 2t+8)
//   b[0..1] hold B[2t, 2t+1 or 2t+8, 2t+9][g];  d[0..3] hold D[g or g+8][2t, 2t+1]
// The order of the sixteen additions is the hardware's own: compare with a tolerance.
//
// load_matrices(r, row): four 8 x 8 matrices of 16-bit elements from shared memory, by one full warp: lane 8 m + i
// brings the start of row i of matrix m, 16 bytes aligned to 16.
//   r[m] holds elements [g][2t, 2t+1] of matrix m;  load_matrices_transposed: elements [2t, 2t+1][g]
//
// pack_bf16(low, high): both rounded to nearest even, in the halves of a register.
// exp2_fast(x): 2^x within 2^-22 of it, results below 2^-126 are 0 (ex2.approx.ftz).
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
__device__ __forceinline__ unsigned shared_address(const void* shared) {
  return static_cast<unsigned>(__cvta_generic_to_shared(shared));
}
__device__ __forceinline__ void load_matrices(std::uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}
__device__ __forceinline__ void load_matrices_transposed(std::uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}
__device__ __forceinline__ std::uint32_t pack_bf16(float low, float high) {
  std::uint32_t packed;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
  return packed;
}
__device__ __forceinline__ float exp2_fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
__device__ __forceinline__ void copy_async16(void* shared, const void* global) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_address(shared)), "l"(global) : "memory");
}
__device__ __forceinline__ void copy_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int kOpenGroups>
__device__ __forceinline__ void copy_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kOpenGroups) : "memory");
}
#else
using emulation::copy_async16;
using emulation::copy_async_commit;
using emulation::exp2_fast;
using emulation::load_matrices;
using emulation::load_matrices_transposed;
using emulation::mma_bf16;
using emulation::pack_bf16;
template <int kOpenGroups>
void copy_async_wait() {
  emulation::copy_async_wait(kOpenGroups);
}
#endif

}  // namespace winnow::cuda
