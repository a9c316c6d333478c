// Warp-wide operations of the running block: who has come, who is still to come.
#pragma once
#include <cstddef>

#include "core/cuda/emulation/thread.h"

namespace winnow::emulation {

void reset_warps(std::size_t threads);
void leave_warp(const Thread& thread);  // reported when an operation still waits for it
void join_collective(const char* name, unsigned mask, void* slot, Combine combine, bool orders_memory, Site at);

}  // namespace winnow::emulation
