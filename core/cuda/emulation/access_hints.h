// How well a kernel's warps use memory, counted from instrumented accesses (Options::access_hints). Hints: the compiler
// for the device may merge, split or drop accesses that g++ keeps, and caches are not modelled.
//
// Device memory: the 32-byte sectors that the lanes of a warp access touch, beside the fewest that hold as many
// distinct bytes. Shared memory: the passes over 32 banks of 4 bytes that an access takes, beside the fewest for its
// width (1, 2, 4 for lanes of up to 4, 8, 16 bytes, which go by whole, half and quarter warps). CUDA C++ Programming
// Guide, "Device Memory Accesses" and "Shared Memory" of compute capability 5.x and later.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "core/cuda/emulation/thread.h"

namespace winnow::emulation {

struct AccessHint {
  std::string line;       // "kernels.cu:12"
  std::size_t bytes = 0;  // of one lane
  bool shared = false, write = false;
  std::uint64_t warp_accesses = 0;
  std::uint64_t units = 0, ideal = 0;  // sectors, or passes over the banks
  double efficiency() const { return units ? static_cast<double>(ideal) / static_cast<double>(units) : 1; }
};
// Of all launches since clear_access_hints(), the least efficient first.
std::vector<AccessHint> access_hints();
std::string access_hint_table();
double device_access_efficiency();  // of all of them that go to device memory: ideal sectors over touched ones
void clear_access_hints();

// From the race checker and the scheduler.
void count_access(std::uintptr_t address, std::size_t bytes, Access kind, const void* pc, bool device);
void finish_block_hints();

// The same counts for given lanes; `addresses` holds the active ones.
std::size_t sectors_touched(const std::vector<std::uintptr_t>& addresses, std::size_t bytes);
std::size_t fewest_sectors(const std::vector<std::uintptr_t>& addresses, std::size_t bytes);
std::size_t bank_passes(const std::vector<std::uintptr_t>& addresses, std::size_t bytes);
std::size_t fewest_passes(std::size_t lanes, std::size_t bytes);

}  // namespace winnow::emulation
