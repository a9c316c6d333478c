// What `winnow doctor` finds out: what this machine offers, what this program was built with, and what does not fit
// together, each with what to do about it.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "core/backend.h"
#include "core/tensor.h"

namespace winnow {

struct Diagnosis {
  std::string cpu, onednn;
  std::vector<std::string> instruction_sets;  // of those that Winnow and oneDNN ask for, the ones found
  std::string kernels;                        // "AVX-512": the widest of Winnow's own that run here
  std::string int8_kernels;                   // "VNNI", "AVX-512" or "AVX2": of products in bytes (serve --int8)
  bool bf16 = false;                          // products in bf16 run here (train.precision)
  int cores = 0, threads = 0;                 // that this process may use; of the OpenMP team
  double cpu_quota = 0;                       // cores' worth of time that the container may use; 0: no limit
  size_t operators = 0;
  size_t memory = 0, free_memory = 0;  // bytes; the container's limit where it is lower
  size_t disk = 0, free_disk = 0;      // of the current folder's file system
  bool gpu_backend = false;            // this program was built with one
  BackendDescription gpu;
  std::vector<std::string> self_tests;  // "right" or what is wrong: the CPU, then each device of `gpu`
  std::vector<std::string> problems;    // what should work here and does not
  std::string str() const;
  std::string json() const;
};

// Looks at the machine and tests each device with one small product and softmax. wanted: the device that was asked for,
// which is then a problem when it cannot be used.
Diagnosis diagnose(Device wanted = {});

// Whether kernels compiled for one compute capability run on a device of another: of the same major version and not an
// older minor one (CUDA C++ Programming Guide, "Binary Compatibility").
bool binary_runs_on(int architecture, int sm);

// softmax(x W) of fixed operands, as the self test computes it on a device; and what differs by more than 1e-5 from the
// same in double on the host, or "right".
Tensor self_test_output(Device device);
std::string judge_self_test(std::span<const float> y);

}  // namespace winnow
