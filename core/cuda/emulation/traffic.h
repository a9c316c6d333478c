// What each kernel moves to and from device memory, counted from instrumented accesses (Options::traffic).
//
// Asked: the bytes that the instructions of all threads name. Distinct: 32 bytes for each sector that a launch touches
// at all, once for reading and once for writing: what it moves when its caches lose nothing and keep nothing for the
// next launch. Asked far above distinct: the same bytes again, from the caches as far as they reach.
#pragma once
#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "core/cuda/emulation/thread.h"

namespace winnow::emulation {

struct KernelTraffic {
  std::string name;  // "winnow::softmax_rows", without its template arguments; "" for copies and fills of the runtime
  std::uint64_t launches = 0;
  unsigned threads = 0;            // of a block, the most of its launches
  std::size_t dynamic_shared = 0;  // bytes, the most of its launches
  std::uint64_t asked_read = 0, asked_written = 0, distinct_read = 0, distinct_written = 0;
  std::uint64_t asked() const { return asked_read + asked_written; }
  std::uint64_t distinct() const { return distinct_read + distinct_written; }
};
// Of all launches since clear_kernel_traffic(), by function: one entry an instance of a template.
std::vector<KernelTraffic> kernel_traffic();
void clear_kernel_traffic();

// From the launches, the race checker and the runtime's copies.
void start_launch_traffic(const void* kernel, unsigned threads, std::size_t dynamic_shared);
void finish_launch_traffic();
void count_traffic(std::uintptr_t address, std::size_t bytes, Access kind);
void count_copy_traffic(std::size_t read, std::size_t written);

}  // namespace winnow::emulation
