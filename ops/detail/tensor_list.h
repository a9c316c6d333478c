// Kernels over many tensors of one operator: parameters, gradients and state by value in the launch, so that a step of
// a model is a few launches whatever its number of tensors. For .cu files.
#pragma once
#include "core/cuda/kernel.h"
#include "ops/detail/dense_plan.h"

namespace winnow::cuda {

struct TensorList {
  static constexpr int kMost = 64;  // a launch takes 4 KB of parameters
  static constexpr int64_t kBlockElements = 2048;

  int tensors = 0, first = 0;       // first: in the operator's numbering
  unsigned first_block[kMost + 1];  // of each tensor; the end of the last
  int64_t elements[kMost];
  float *weight[kMost], *state0[kMost], *state1[kMost];
  const float* gradient[kMost];

  // The tensor of a block.
  __device__ int tensor_of(unsigned block) const {
    int low = 0, high = tensors;
    while (high - low > 1) {
      const int middle = (low + high) / 2;
      (block < first_block[middle] ? high : low) = middle;
    }
    return low;
  }
  unsigned blocks() const { return first_block[tensors]; }
};

// The tensors of `plan` from `first` on, as many as one list holds; empty ones are left out of the blocks.
inline TensorList tensor_list(const Call& c, const DensePlan& plan, int first) {
  TensorList list{};
  list.first = first;
  list.tensors = std::min(TensorList::kMost, plan.tensors - first);
  unsigned blocks = 0;
  for (int i = 0; i < list.tensors; ++i) {
    const int t = first + i;
    list.first_block[i] = blocks;
    list.elements[i] = c.in_numel(t);
    list.weight[i] = c.mut<float>(t);
    list.gradient[i] = c.in<float>(plan.tensors + t);
    list.state0[i] = plan.states > 0 ? c.mut<float>(plan.state_input(0, t)) : nullptr;
    list.state1[i] = plan.states > 1 ? c.mut<float>(plan.state_input(1, t)) : nullptr;
    blocks += static_cast<unsigned>((list.elements[i] + TensorList::kBlockElements - 1) / TensorList::kBlockElements);
  }
  list.first_block[list.tensors] = blocks;
  return list;
}

// One block's part of its tensor.
struct TensorBlock {
  int tensor;  // of the list
  unsigned n;
  float *w, *s0, *s1;
  const float* g;

  __device__ explicit TensorBlock(const TensorList& list) : tensor(list.tensor_of(blockIdx.x)) {
    const int64_t begin = int64_t{blockIdx.x - list.first_block[tensor]} * TensorList::kBlockElements;
    const int64_t rest = list.elements[tensor] - begin;
    n = static_cast<unsigned>(rest < TensorList::kBlockElements ? rest : TensorList::kBlockElements);
    w = list.weight[tensor] + begin;
    g = list.gradient[tensor] + begin;
    s0 = list.state0[tensor] + begin;  // never read where there is no state
    s1 = list.state1[tensor] + begin;
  }
};

}  // namespace winnow::cuda
