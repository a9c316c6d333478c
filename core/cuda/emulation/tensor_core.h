// The host side of core/cuda/ptx.h.
#pragma once
#include <cstdint>
#include <cstring>

#include "core/cuda/emulation/async_copy.h"
#include "core/cuda/emulation/thread.h"

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

// Not inlined: the return address names the kernel's line.
[[gnu::noinline]] inline void copy_async16(void* shared, const void* global) {
  start_async_copy(shared, global, __builtin_return_address(0));
}
inline void copy_async_commit() { commit_async_copies(); }
inline void copy_async_wait(int open_groups) { wait_async_copies(open_groups); }

}  // namespace winnow::emulation
