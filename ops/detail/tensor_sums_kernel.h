// One sum over f(x) for the elements x of many tensors, on a CUDA device: fixed blocks of elements, then the blocks, in
// double. Bound by reading the tensors once.
//
//   prepare: for each tensor blocks += tensor_blocks(n); p.scratch(blocks * sizeof(double));
//   run:     TensorSums<F> sums(call, scratch); for each sums.add(x, n); sums.finish(root, y);
#pragma once
#include "core/cuda/kernel.h"
#include "core/cuda/reduce.h"

namespace winnow::detail {

constexpr int64_t kTensorBlock = 8192;
inline int64_t tensor_blocks(int64_t n) { return (n + kTensorBlock - 1) / kTensorBlock; }

// Tensors of one launch; a block belongs to one of them.
struct SummedTensors {
  static constexpr unsigned kMost = 96;
  const float* x[kMost];
  int64_t n[kMost];
  unsigned first_block[kMost + 1];
  bool as_is[kMost];  // x instead of f(x)
  unsigned count;
};

template <class F>
__device__ double sum_block(F f, const float* x, int64_t n) {
  double sum = 0;
  const int64_t fours = reinterpret_cast<uintptr_t>(x) % 16 == 0 ? n / 4 : 0;
#pragma unroll 4
  for (int64_t i = threadIdx.x; i < fours; i += blockDim.x) {
    const float4 v = reinterpret_cast<const float4*>(x)[i];
    sum += static_cast<double>((f(v.x) + f(v.y)) + (f(v.z) + f(v.w)));
  }
  for (int64_t i = 4 * fours + threadIdx.x; i < n; i += blockDim.x) sum += static_cast<double>(f(x[i]));
  return sum;
}
template <class F>
__global__ void __launch_bounds__(256) sum_tensors(const __grid_constant__ SummedTensors list, double* partial) {
  WN_SHARED(double, parts, [33]);
  unsigned tensor = 0, end = list.count;
  while (end - tensor > 1) {
    const unsigned middle = (tensor + end) / 2;
    if (list.first_block[middle] <= blockIdx.x)
      tensor = middle;
    else
      end = middle;
  }
  const int64_t first = int64_t{blockIdx.x - list.first_block[tensor]} * kTensorBlock, left = list.n[tensor] - first;
  const int64_t n = left < kTensorBlock ? left : kTensorBlock;
  const float* const x = list.x[tensor] + first;
  const double sum = list.as_is[tensor] ? sum_block([](float v) { return v; }, x, n)
                                        : sum_block([](float v) { return F::f(v); }, x, n);
  const double all = cuda::block_reduce(sum, cuda::Sum(), parts);
  if (threadIdx.x == 0) partial[blockIdx.x] = all;
}
template <class Finish>
__global__ void __launch_bounds__(1024) finish_sum(int64_t blocks, const double* partial, Finish finish, float* y) {
  WN_SHARED(double, parts, [33]);
  double sum = 0;
  for (int64_t i = threadIdx.x; i < blocks; i += blockDim.x) sum += partial[i];
  sum = cuda::block_reduce(sum, cuda::Sum(), parts);
  if (threadIdx.x == 0) *y = static_cast<float>(finish(sum));
}

template <class F>
class TensorSums {
 public:
  TensorSums(const Call& c, double* scratch) : call_(c), partial_(scratch) {}
  void add(const float* x, int64_t n, bool as_is = false) {
    if (n == 0) return;
    if (list_.count == SummedTensors::kMost) launch();
    const unsigned i = list_.count++;
    list_.x[i] = x, list_.n[i] = n, list_.as_is[i] = as_is;
    list_.first_block[i + 1] = list_.first_block[i] + static_cast<unsigned>(tensor_blocks(n));
  }
  template <class Finish>
  void finish(Finish finish, float* y) {
    if (list_.count > 0) launch();
    cuda::run(call_, finish_sum<Finish>, 1, 1024, 0, done_, partial_, finish, y);
  }

 private:
  void launch() {
    const unsigned blocks = list_.first_block[list_.count];
    cuda::run(call_, sum_tensors<F>, blocks, 256, 0, list_, partial_ + done_);
    done_ += blocks;
    list_.count = 0;
  }
  const Call& call_;
  double* partial_;
  int64_t done_ = 0;
  SummedTensors list_{};
};

}  // namespace winnow::detail
