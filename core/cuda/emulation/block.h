// Runs launches: blocks one after another, the threads of a block interleaved at barriers and warp operations (and, in
// instrumented kernels, at any access). A barrier-free kernel needs one stack: a thread that ends hands it to the next.
#pragma once
#include <cuda_runtime_api.h>

#include <functional>
#include <random>
#include <vector>

#include "core/cuda/emulation/thread.h"

namespace winnow::emulation {

struct Launch {
  dim3 grid, block;
  std::size_t dynamic_shared = 0;
  const std::function<void()>* body = nullptr;
  const void* kernel = nullptr;
};
bool run_launch(const Launch& launch);  // false: the kernel was abandoned after a report

// Identifies an access for the race checker: which launch, block, and how many __syncthreads this block has passed.
struct Position {
  unsigned launch = 0, block = 0, barrier_epoch = 0;
};
const Position& position();

void yield_thread();    // lets another thread of the block go on
void abandon_launch();  // leaves the kernel for ever; called on the kernel's stack
std::mt19937_64& random_bits();

// For the warp operations (warp.cpp).
std::vector<Thread>& block_threads();
void block_current_thread(Thread::State state, Site at);
void make_runnable(Thread& thread);

}  // namespace winnow::emulation
