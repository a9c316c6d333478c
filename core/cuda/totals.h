// Two sums in double over n terms, in an order that n alone decides, and what becomes of them: losses and weights.
//
//   prepare: p.scratch(cuda::totals_bytes(n));
//   run:     cuda::totals(call, n, scratch, term, finish);
#pragma once
#include "core/cuda/kernel.h"
#include "core/cuda/reduce.h"

namespace winnow::cuda {

struct Totals {
  double value = 0, weight = 0;
};

constexpr unsigned kTotalThreads = 512;
inline int64_t total_blocks(int64_t n) {
  const int64_t blocks = (n + 8 * kTotalThreads - 1) / (8 * kTotalThreads);
  return blocks < 1 ? 1 : blocks < 256 ? blocks : 256;
}
inline size_t totals_bytes(int64_t n) { return static_cast<size_t>(total_blocks(n)) * sizeof(Totals); }

__device__ inline Totals block_totals(Totals t) {
  WN_SHARED(double, parts, [33]);
  const double value = block_reduce(t.value, Sum(), &parts[0]);
  return {value, block_reduce(t.weight, Sum(), &parts[0])};
}
// One block: finish gets the totals. Several: their parts are left for add_totals.
template <class Term, class Finish>
__global__ void __launch_bounds__(kTotalThreads) sum_terms(int64_t n, Term term, Totals* parts, Finish finish) {
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  Totals sum;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += step) {
    const Totals t = term(i);
    sum.value += t.value;
    sum.weight += t.weight;
  }
  sum = block_totals(sum);
  if (threadIdx.x != 0) return;
  if (gridDim.x == 1)
    finish(sum);
  else
    parts[blockIdx.x] = sum;
}
template <class Finish>
__global__ void __launch_bounds__(256) add_totals(unsigned count, const Totals* parts, Finish finish) {
  const Totals all = block_totals(threadIdx.x < count ? parts[threadIdx.x] : Totals());
  if (threadIdx.x == 0) finish(all);
}

// term: a trivially copyable struct, __device__ Totals operator()(int64_t i) const. finish: likewise, void
// operator()(Totals) const, in one thread.
template <class Term, class Finish>
void totals(const Call& c, int64_t n, void* scratch, Term term, Finish finish) {
  auto* const parts = static_cast<Totals*>(scratch);
  const int64_t blocks = total_blocks(n);
  run(c, sum_terms<Term, Finish>, dim3(static_cast<unsigned>(blocks)), kTotalThreads, 0, n, term, parts, finish);
  if (blocks > 1) run(c, add_totals<Finish>, dim3(1), 256, 0, static_cast<unsigned>(blocks), parts, finish);
}

// total / weight, 0 without weight
__device__ inline double weighted_mean(double total, double weight) { return weight == 0 ? 0 : total / weight; }
struct StoreMean {
  float* out;
  __device__ void operator()(Totals t) const { *out = static_cast<float>(weighted_mean(t.value, t.weight)); }
};
struct StoreWeight {
  double* out;
  __device__ void operator()(Totals t) const { *out = t.weight; }
};

// The factor of a loss's gradient: dloss over the weights' sum.
struct LossScale {
  const float* dloss;
  const double* weight;  // null: all weights are 1 and sum to `count`
  double count;
  __device__ double operator()() const {
    return weighted_mean(static_cast<double>(*dloss), weight == nullptr ? count : *weight);
  }
};

}  // namespace winnow::cuda
