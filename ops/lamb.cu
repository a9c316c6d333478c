// LAMB: moments and the squares of weight and direction of each block, their sums for each tensor, then the weights.
#include "core/cuda/reduce.h"
#include "ops/detail/tensor_list.h"

namespace winnow {
namespace {

using cuda::TensorBlock, cuda::TensorList;

constexpr unsigned kThreads = 256;
constexpr int kStates = 2;

struct Step {
  AdamStep<float> rule;
  double lr;
  float scale, decay;
};
// Sums over one block or tensor.
struct Squares {
  double weight, step;
};

__global__ void __launch_bounds__(1)
    set_up(RuleParams params, const float* lr, const int64_t* step, const float* scale, Step* out) {
  *out = {AdamStep<float>(params, 1, *step, false), static_cast<double>(*lr), *scale,
          static_cast<float>(params.weight_decay)};
}

// Reads weight and gradient, reads and writes the moments: bound by memory. squares: of the list's blocks.
__global__ void __launch_bounds__(kThreads)
    update_moments(const __grid_constant__ TensorList list, const Step* shared, Squares* squares) {
  WN_SHARED(double, parts, [33]);
  const Step step = *shared;
  if (!std::isfinite(step.scale)) return;
  const TensorBlock block(list);
  float weight = 0, moved = 0;
#pragma unroll 4
  for (unsigned i = threadIdx.x; i < block.n; i += kThreads) {
    const float x = block.w[i];
    float m = block.s0[i], v = block.s1[i];
    step.rule.moments(step.scale * block.g[i], m, v);
    block.s0[i] = m;
    block.s1[i] = v;
    const float r = step.rule.direction(m, v) + step.decay * x;
    weight += x * x;
    moved += r * r;
  }
  const double all_weight = cuda::block_reduce(static_cast<double>(weight), cuda::Sum(), parts),
               all_moved = cuda::block_reduce(static_cast<double>(moved), cuda::Sum(), parts);
  if (threadIdx.x == 0) squares[blockIdx.x] = {all_weight, all_moved};
}

// Block: a tensor.
__global__ void __launch_bounds__(kThreads)
    rate_of_tensors(const __grid_constant__ TensorList list, const Step* step, const Squares* squares, float* rates) {
  WN_SHARED(double, parts, [33]);
  if (!std::isfinite(step->scale)) return;
  double weight = 0, moved = 0;
  for (unsigned i = list.first_block[blockIdx.x] + threadIdx.x; i < list.first_block[blockIdx.x + 1]; i += kThreads) {
    weight += squares[i].weight;
    moved += squares[i].step;
  }
  weight = cuda::block_reduce(weight, cuda::Sum(), parts);
  moved = cuda::block_reduce(moved, cuda::Sum(), parts);
  if (threadIdx.x == 0)
    rates[blockIdx.x] = static_cast<float>(weight > 0 && moved > 0 ? step->lr * std::sqrt(weight / moved) : step->lr);
}

// The direction is computed again, which is cheaper than keeping it.
__global__ void __launch_bounds__(kThreads)
    move_weights(const __grid_constant__ TensorList list, const Step* shared, const float* rates) {
  const Step step = *shared;
  if (!std::isfinite(step.scale)) return;
  const TensorBlock block(list);
  const float rate = rates[block.tensor];
#pragma unroll 4
  for (unsigned i = threadIdx.x; i < block.n; i += kThreads) {
    const float x = block.w[i];
    block.w[i] = x - rate * (step.rule.direction(block.s0[i], block.s1[i]) + step.decay * x);
  }
}

constexpr size_t kStepBytes = (sizeof(Step) + 63) / 64 * 64, kRateBytes = TensorList::kMost * sizeof(float);

// Scratch: the step, the rates of one list, the squares of its blocks. Lists follow each other in the stream.
void prepare(const NodeSpec& n, Prepare& p) {
  const auto& plan = p.state<DensePlan>(n, kStates);
  size_t blocks = 0;
  for (int t = 0; t < plan.tensors; ++t)
    blocks += static_cast<size_t>(n.in[static_cast<size_t>(t)].shape.numel() / TensorList::kBlockElements + 1);
  p.scratch(kStepBytes + kRateBytes + blocks * sizeof(Squares));
}

void run(const Call& c) {
  const auto& plan = c.state<DensePlan>();
  auto* const step = c.scratch_as<Step>();
  auto* const rates = reinterpret_cast<float*>(c.scratch_as<char>() + kStepBytes);
  auto* const squares = reinterpret_cast<Squares*>(c.scratch_as<char>() + kStepBytes + kRateBytes);
  cuda::run(c, set_up, 1, 1, 0, plan.params, c.in<float>(plan.scalars()), c.in<int64_t>(plan.scalars() + 1),
            c.in<float>(plan.scalars() + 2), step);
  for (int first = 0; first < plan.tensors; first += TensorList::kMost) {
    const TensorList list = cuda::tensor_list(c, plan, first);
    if (list.blocks() == 0) continue;
    cuda::run(c, update_moments, list.blocks(), kThreads, 0, list, step, squares);
    cuda::run(c, rate_of_tensors, static_cast<unsigned>(list.tensors), kThreads, 0, list, step, squares, rates);
    cuda::run(c, move_weights, list.blocks(), kThreads, 0, list, step, rates);
  }
}

}  // namespace

void register_lamb_cuda(Registry& r) {
  r.add_kernel("lamb", {.name = "tensor_list",
                        .device = Device::CUDA,
                        .reject = cuda::reject_all_but_f32,
                        .prepare = prepare,
                        .run = run});
}

}  // namespace winnow
