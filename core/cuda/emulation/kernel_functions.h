// Barriers, warp operations, atomics and intrinsics, by the names of the CUDA C++ Programming Guide. Only what is here
// exists: a kernel that uses another name does not compile under the emulation.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "core/cuda/emulation/thread.h"

namespace winnow::emulation {

struct ShuffleSlot {
  alignas(16) unsigned char in[16], out[16];
  int source;
};
inline void combine_shuffle(void* slots[32], unsigned mask) {
  for (unsigned rest = mask; rest; rest &= rest - 1) {
    auto* mine = static_cast<ShuffleSlot*>(slots[__builtin_ctz(rest)]);
    const auto* source = mine->source >= 0 ? static_cast<const ShuffleSlot*>(slots[mine->source]) : nullptr;
    if (source)
      std::memcpy(mine->out, source->in, sizeof mine->out);
    else
      std::memset(mine->out, 0xFF, sizeof mine->out);  // an inactive lane's value is undefined: NaN
  }
}
template <class T>
T shuffle(const char* name, unsigned mask, T value, int source, Site at) {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= 16);
  ShuffleSlot slot{};
  std::memcpy(slot.in, &value, sizeof value);
  slot.source = source;
  warp_collective(name, mask, &slot, combine_shuffle, false, at);
  std::memcpy(&value, slot.out, sizeof value);
  return value;
}

struct VoteSlot {
  int predicate;
  unsigned ballot;
};
inline void combine_vote(void* slots[32], unsigned mask) {
  unsigned ballot = 0;
  for (unsigned rest = mask; rest; rest &= rest - 1) {
    const int lane = __builtin_ctz(rest);
    if (static_cast<VoteSlot*>(slots[lane])->predicate) ballot |= 1u << lane;
  }
  for (unsigned rest = mask; rest; rest &= rest - 1)
    static_cast<VoteSlot*>(slots[__builtin_ctz(rest)])->ballot = ballot;
}
inline unsigned vote(const char* name, unsigned mask, int predicate, Site at) {
  VoteSlot slot{predicate, 0};
  warp_collective(name, mask, &slot, combine_vote, false, at);
  return slot.ballot;
}
inline void combine_nothing(void**, unsigned) {}

// Not inlined and not instrumented: one atomic access at the kernel's line. ([[gnu::no_sanitize]] is unknown to
// clang 14.)
template <class T, class F>
__attribute__((noinline, no_sanitize("thread"))) T atomic_update(T* address, F update) {
  touch(address, sizeof(T), Access::Atomic, __builtin_return_address(0));
  const T old = *address;
  *address = update(old);
  return old;
}

template <class To, class From>
To same_bits(From value) {
  static_assert(sizeof(To) == sizeof(From));
  To result;
  std::memcpy(&result, &value, sizeof result);
  return result;
}

inline int lane_of_thread() { return static_cast<int>(current_thread->lane); }
inline int segment_start(int width) { return lane_of_thread() & ~(width - 1); }

}  // namespace winnow::emulation

#define WN_AT ::winnow::emulation::Site at = ::winnow::emulation::Site::here()

inline void __syncthreads(WN_AT) { winnow::emulation::block_barrier(0, winnow::emulation::BarrierKind::Plain, at); }
inline int __syncthreads_count(int predicate, WN_AT) {
  return winnow::emulation::block_barrier(predicate, winnow::emulation::BarrierKind::Count, at);
}
inline int __syncthreads_and(int predicate, WN_AT) {
  return winnow::emulation::block_barrier(predicate, winnow::emulation::BarrierKind::And, at);
}
inline int __syncthreads_or(int predicate, WN_AT) {
  return winnow::emulation::block_barrier(predicate, winnow::emulation::BarrierKind::Or, at);
}
inline void __syncwarp(unsigned mask = ~0u, WN_AT) {
  winnow::emulation::warp_collective("__syncwarp", mask, nullptr, winnow::emulation::combine_nothing, true, at);
}
inline void __threadfence() {}
inline void __threadfence_block() {}

template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32, WN_AT) {
  const int lane = winnow::emulation::segment_start(width) + (source & (width - 1));
  return winnow::emulation::shuffle("__shfl_sync", mask, value, lane, at);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lanes, int width = 32, WN_AT) {
  const int me = winnow::emulation::lane_of_thread(), other = me ^ lanes;
  const bool inside = other < winnow::emulation::segment_start(width) + width;
  return winnow::emulation::shuffle("__shfl_xor_sync", mask, value, inside ? other : me, at);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32, WN_AT) {
  const int me = winnow::emulation::lane_of_thread(), other = me + static_cast<int>(delta);
  const bool inside = other < winnow::emulation::segment_start(width) + width;
  return winnow::emulation::shuffle("__shfl_down_sync", mask, value, inside ? other : me, at);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32, WN_AT) {
  const int me = winnow::emulation::lane_of_thread(), other = me - static_cast<int>(delta);
  const bool inside = other >= winnow::emulation::segment_start(width);
  return winnow::emulation::shuffle("__shfl_up_sync", mask, value, inside ? other : me, at);
}
inline unsigned __ballot_sync(unsigned mask, int predicate, WN_AT) {
  return winnow::emulation::vote("__ballot_sync", mask, predicate, at);
}
inline int __any_sync(unsigned mask, int predicate, WN_AT) {
  return winnow::emulation::vote("__any_sync", mask, predicate, at) != 0;
}
inline int __all_sync(unsigned mask, int predicate, WN_AT) {
  return winnow::emulation::vote("__all_sync", mask, predicate == 0, at) == 0;
}
inline unsigned __activemask() = delete;  // says nothing about which lanes will come: name the mask

template <class T>
T atomicAdd(T* address, std::type_identity_t<T> value) {
  return winnow::emulation::atomic_update(address, [value](T old) { return static_cast<T>(old + value); });
}
template <class T>
T atomicMax(T* address, std::type_identity_t<T> value) {
  return winnow::emulation::atomic_update(address, [value](T old) { return old < value ? value : old; });
}
template <class T>
T atomicMin(T* address, std::type_identity_t<T> value) {
  return winnow::emulation::atomic_update(address, [value](T old) { return value < old ? value : old; });
}
template <class T>
T atomicOr(T* address, std::type_identity_t<T> value) {
  return winnow::emulation::atomic_update(address, [value](T old) { return static_cast<T>(old | value); });
}
template <class T>
T atomicExch(T* address, std::type_identity_t<T> value) {
  return winnow::emulation::atomic_update(address, [value](T) { return value; });
}
template <class T>
T atomicCAS(T* address, std::type_identity_t<T> expected, std::type_identity_t<T> value) {
  return winnow::emulation::atomic_update(address, [expected, value](T old) { return old == expected ? value : old; });
}

#undef WN_AT

template <class T>
T __ldg(const T* address) {
  return *address;
}
inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
inline float __expf(float x) { return std::exp(x); }
inline float __logf(float x) { return std::log(x); }
inline float __fdividef(float a, float b) { return a / b; }
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __clz(int x) { return x ? __builtin_clz(static_cast<unsigned>(x)) : 32; }
inline int __float_as_int(float x) { return winnow::emulation::same_bits<int>(x); }
inline unsigned __float_as_uint(float x) { return winnow::emulation::same_bits<unsigned>(x); }
inline float __int_as_float(int x) { return winnow::emulation::same_bits<float>(x); }
inline float __uint_as_float(unsigned x) { return winnow::emulation::same_bits<float>(x); }
inline unsigned __umulhi(unsigned a, unsigned b) {
  return static_cast<unsigned>(static_cast<std::uint64_t>(a) * b >> 32);
}
template <class T>
T min(T a, T b) {
  return b < a ? b : a;
}
template <class T>
T max(T a, T b) {
  return a < b ? b : a;
}
