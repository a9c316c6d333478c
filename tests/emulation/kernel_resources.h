// What the compiler gave each kernel of ops/*.cu, from the files that cmake/compile_kernels.cmake leaves beside the
// objects, and what follows from it for a device.
#pragma once
#include <cstddef>
#include <map>
#include <string>
#include <vector>

namespace winnow::kernel_page {

// One compiled kernel: an instance where it is a template.
struct Instance {
  std::string symbol = {};  // mangled
  int architecture = 0;     // 90
  int registers = 0;        // of a thread
  std::size_t shared = 0;   // static, bytes of a block
  int spilled = 0;          // bytes of a thread, stored and loaded
  int threads = 0;          // of a block, at most (__launch_bounds__); 0: not stated
  int blocks = 0;           // on a multiprocessor, at least (its second argument); 0: not stated
};
// Kernels of one name in one file.
struct Kernel {
  std::string file, name;  // "softmax", "softmax_rows"
  std::vector<Instance> instances;
};

// Of all objects in a directory, by file and name. IoError: there are none; DataError: a file is not as expected.
std::vector<Kernel> read_kernels(const std::string& directory);

// Warps that fit on one multiprocessor at a time, of 64, for blocks as large as the kernel allows: by NVIDIA's own
// calculation (cuda_occupancy.h of the toolkit) with the limits of "Technical Specifications per Compute Capability",
// CUDA C++ Programming Guide. dynamic_shared: bytes of a block beside the static ones.
int resident_warps(const Instance& kernel, std::size_t dynamic_shared);

// "" or what is wrong: no launch bounds, spills, or fewer resident blocks than it states (one, where it does not) for
// its registers and static shared memory.
std::string defect(const Instance& kernel);

}  // namespace winnow::kernel_page
