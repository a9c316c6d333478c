// One CUDA thread, and what the kernel language calls on its behalf.
#pragma once
#include <cuda_runtime_api.h>
#include <vector_functions.h>

#include <cstddef>
#include <cstdint>

namespace winnow::emulation {

struct Fiber;

// A line of kernel code, taken at the call by a default argument.
struct Site {
  const char* file = nullptr;
  int line = 0;
  static constexpr Site here(const char* file = __builtin_FILE(), int line = __builtin_LINE()) { return {file, line}; }
  bool operator==(const Site& other) const;
};

struct Thread {
  enum class State : unsigned char { New, Ready, AtBarrier, InCollective, Done };
  uint3 index, block;
  unsigned linear = 0, lane = 0, warp = 0;
  unsigned warp_epoch = 0;  // __syncwarp calls so far
  State state = State::New;
  Fiber* fiber = nullptr;
  Site waits_at;
};

// The CUDA thread that this host thread is running; null while host code runs.
extern constinit thread_local Thread* current_thread;
extern dim3 grid_dimensions, block_dimensions;  // of the one running launch

// __syncthreads and its reductions over `predicate`: Count, And, Or.
enum class BarrierKind { Plain, Count, And, Or };
[[gnu::noinline]] int block_barrier(int predicate, BarrierKind kind, Site at);

// Every warp-wide operation. Each lane of `mask` brings a pointer to its own slot; when all have come, the last one
// runs combine(slots of the 32 lanes, mask). Reported: a lane outside its own mask, exited lanes, lanes at another
// line.
using Combine = void (*)(void* slots[32], unsigned mask);
[[gnu::noinline]] void warp_collective(const char* name, unsigned mask, void* slot, Combine combine, bool orders_memory,
                                       Site at);

// Ends the kernel with a report; in host code, which must not touch device memory, ends the process with code 86.
inline constexpr int kHostAccessExit = 86;
[[noreturn]] void fail(const char* kind, const char* format, ...) __attribute__((format(printf, 2, 3)));

// One access to memory that instrumented kernels make, forwarded to the race checker when it is linked.
enum class Access { Read, Write, Atomic };
void touch(const void* address, std::size_t bytes, Access kind, const void* pc);

}  // namespace winnow::emulation
