// The host side of core/cuda/ptx.h.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

#include "core/cuda/emulation/async_copy.h"
#include "core/cuda/emulation/shared_memory.h"
#include "core/cuda/emulation/thread.h"
#include "core/dtype.h"

namespace winnow::emulation {

struct MmaSlot {
  float* d;
  const std::uint32_t *a, *b;
};
inline float bf16_half(std::uint32_t packed, int high) {
  const std::uint32_t bits = high ? packed & 0xFFFF0000u : packed << 16;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}
inline void combine_mma(void* slots[32], unsigned mask) {
  if (mask != ~0u) fail("warp-divergence", "mma.sync needs all 32 lanes of the warp, mask %08x", mask);
  float a[16][16], b[16][8];
  for (int lane = 0; lane < 32; ++lane) {
    const auto* slot = static_cast<const MmaSlot*>(slots[lane]);
    const int g = lane / 4, t = lane % 4;
    for (int i = 0; i < 8; ++i)
      a[g + (i / 2 % 2 ? 8 : 0)][t * 2 + i % 2 + (i >= 4 ? 8 : 0)] = bf16_half(slot->a[i / 2], i % 2);
    for (int i = 0; i < 4; ++i) b[t * 2 + i % 2 + (i >= 2 ? 8 : 0)][g] = bf16_half(slot->b[i / 2], i % 2);
  }
  for (int lane = 0; lane < 32; ++lane) {
    auto* slot = static_cast<MmaSlot*>(slots[lane]);
    for (int i = 0; i < 4; ++i) {
      float sum = 0;
      for (int k = 0; k < 16; ++k) sum += a[lane / 4 + (i >= 2 ? 8 : 0)][k] * b[k][lane % 4 * 2 + i % 2];
      slot->d[i] += sum;
    }
  }
}
inline void mma_bf16(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2], Site at = Site::here()) {
  MmaSlot slot{d, a, b};
  warp_collective("mma.m16n8k16", ~0u, &slot, combine_mma, false, at);
}

struct MatrixSlot {
  const void* row;
  std::uint32_t* out;
};
// Not instrumented: each lane's read of its row is reported by read_row.
__attribute__((noinline, no_sanitize("thread"))) inline std::uint16_t element_of_row(const void* row, int i) {
  std::uint16_t bits;
  std::memcpy(&bits, static_cast<const char*>(row) + 2 * i, sizeof bits);
  return bits;
}
template <bool kTransposed>
void combine_matrices(void* slots[32], unsigned mask) {
  if (mask != ~0u) fail("warp-divergence", "ldmatrix needs all 32 lanes of the warp, mask %08x", mask);
  for (int lane = 0; lane < 32; ++lane)
    for (int m = 0; m < 4; ++m) {
      std::uint32_t packed = 0;
      for (int e = 0; e < 2; ++e) {
        const int row = kTransposed ? lane % 4 * 2 + e : lane / 4, column = kTransposed ? lane / 4 : lane % 4 * 2 + e;
        packed |= std::uint32_t{element_of_row(static_cast<MatrixSlot*>(slots[8 * m + row])->row, column)} << 16 * e;
      }
      static_cast<MatrixSlot*>(slots[lane])->out[m] = packed;
    }
}
inline void read_row(const void* row, const void* pc) {
  constexpr std::size_t kBytes = 16;
  const auto address = reinterpret_cast<std::uintptr_t>(row);
  if (!in_shared_arena(address, kBytes)) fail("illegal-address", "ldmatrix: the row %p is not shared memory", row);
  if (address % kBytes) fail("misaligned", "ldmatrix of 16 bytes at %p", row);
  touch(row, kBytes, Access::Read, pc);
}

// Not inlined: the return address names the kernel's line.
[[gnu::noinline]] inline void load_matrices(std::uint32_t (&r)[4], const void* row, Site at = Site::here()) {
  read_row(row, __builtin_return_address(0));
  MatrixSlot slot{row, r};
  warp_collective("ldmatrix", ~0u, &slot, combine_matrices<false>, false, at);
}
[[gnu::noinline]] inline void load_matrices_transposed(std::uint32_t (&r)[4], const void* row, Site at = Site::here()) {
  read_row(row, __builtin_return_address(0));
  MatrixSlot slot{row, r};
  warp_collective("ldmatrix.trans", ~0u, &slot, combine_matrices<true>, false, at);
}
inline std::uint32_t pack_bf16(float low, float high) { return bf16(low).bits | std::uint32_t{bf16(high).bits} << 16; }
inline float exp2_fast(float x) { return std::exp2(x); }

[[gnu::noinline]] inline void copy_async16(void* shared, const void* global) {
  start_async_copy(shared, global, __builtin_return_address(0));
}
inline void copy_async_commit() { commit_async_copies(); }
inline void copy_async_wait(int open_groups) { wait_async_copies(open_groups); }

}  // namespace winnow::emulation
