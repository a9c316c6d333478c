// Matrix product through oneDNN, created once and run many times: f32, or factors in bf16 with sums in f32.
//
//   c[m,n] = act( op(a)[m,k] @ op(b)[k,n]  [+ bias[n]]  [+ residual[m,n]] ), then 0 where mask[m,n] <= 0     all
//   row-major
//
// Bits do not depend on the number of threads: rows of C are cut into chunks by size alone, each chunk is one
// primitive created for one thread, and the team of core/parallel.h takes chunks. (oneDNN's own threading splits k
// differently for different teams on some shapes.)
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>

#include "core/cpu/sgemm.h"

namespace winnow::cpu {

class OneDnnMatmul {
 public:
  struct Config {
    int64_t m = 0, n = 0, k = 0;            // each at least 1
    bool trans_a = false, trans_b = false;  // a is stored [k,m] / b is stored [n,k]
    bool bias = false, residual = false;
    Act act = Act::None;
    int threads = 1;         // the largest team that will run it: scratch is per thread
    int64_t chunk_rows = 0;  // rows of C per chunk; 0: chosen from the sizes
    bool bf16 = false;       // the elements of a and b
  };
  explicit OneDnnMatmul(const Config& config);  // DeviceError with oneDNN's reason
  ~OneDnnMatmul();
  OneDnnMatmul(const OneDnnMatmul&) = delete;
  OneDnnMatmul& operator=(const OneDnnMatmul&) = delete;

  size_t scratch_bytes() const;
  // bias, residual: null unless configured; mask: may be null. c must not overlap an input. One call at a time. oneDNN
  // itself allocates a little on each call. DeviceError when oneDNN reports a failure.
  void run(const void* a, const void* b, const float* bias, const float* residual, const float* mask, float* c,
           void* scratch) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace winnow::cpu
