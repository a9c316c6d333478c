// Races, bounds, initialisation and alignment of every access that an instrumented kernel makes.
//
// Kernels are compiled with -fsanitize=thread, which makes the compiler call __tsan_read4(address) and the like;
// instrumentation.cpp defines those functions instead of linking libtsan. Two accesses conflict when at least one
// writes, not both are atomic, and nothing orders them: they are of one launch and of different blocks, or of one block
// with the same number of __syncthreads behind them and not ordered by a __syncwarp of their warp. Which order the
// threads really ran in has no part in it, so one run finds what no interleaving of that run may show.
//
// Without instrumentation every function here does nothing.
#pragma once
#include <cstddef>
#include <cstdint>

#include "core/cuda/emulation/thread.h"

namespace winnow::emulation {

bool instrumented();         // the program was linked with instrumentation.cpp
void enable_race_checker();  // called by it
void check_access(std::uintptr_t address, std::size_t bytes, Access kind, const void* pc);
void report_misaligned(const char* file, unsigned line, const void* address, unsigned alignment);

void mark_uninitialized(const void* data, std::size_t bytes);  // new device memory, or a new shared array
void mark_written(const void* data, std::size_t bytes);        // by a copy or a library
void forget_shared_memory(std::size_t used);
void start_launch_checks();
void forget_findings();  // a line is reported once a process; again after this

}  // namespace winnow::emulation
