// The dense optimizers: one pass over all tensors, 16 bytes a thread at a time. Bound by memory: parameter and state
// are read and written, the gradient is read.
#include "core/cuda/vectors.h"
#include "ops/detail/dense_rules.h"
#include "ops/detail/tensor_list.h"

namespace winnow {
namespace {

using cuda::TensorBlock, cuda::TensorList;

constexpr unsigned kThreads = 256;

// What all elements of a step share: computed once, in double as on the host.
template <class Rule>
struct Step {
  Rule rule;
  DenseTerms<float> terms;
};
template <class Rule>
__global__ void __launch_bounds__(1)
    set_up(RuleParams params, const float* lr, const int64_t* step, const float* scale, Step<Rule>* out) {
  *out = {Rule(params, static_cast<double>(*lr), *step),
          DenseTerms<float>(params, static_cast<double>(*scale), Rule::kCoupled)};
}

template <class Rule, bool penalised>
__device__ void update(const Step<Rule>& step, float g, float& w, [[maybe_unused]] float& s0,
                       [[maybe_unused]] float& s1) {
  g = step.terms.template gradient<penalised>(g, w);
  if constexpr (Rule::kStates == 0)
    step.rule(g, w);
  else if constexpr (Rule::kStates == 1)
    step.rule(g, w, s0);
  else
    step.rule(g, w, s0, s1);
}
template <class Rule, bool penalised>
__device__ void update(const Step<Rule>& step, float4 g, float4& w, float4& s0, float4& s1) {
  update<Rule, penalised>(step, g.x, w.x, s0.x, s1.x);
  update<Rule, penalised>(step, g.y, w.y, s0.y, s1.y);
  update<Rule, penalised>(step, g.z, w.z, s0.z, s1.z);
  update<Rule, penalised>(step, g.w, w.w, s0.w, s1.w);
}

template <class Rule, bool penalised, class At>
__device__ void update_at(const Step<Rule>& step, const TensorBlock& block, At at) {
  auto w = at.load(block.w);
  const auto g = at.load(block.g);
  decltype(w) s0{}, s1{};
  if constexpr (Rule::kStates > 0) s0 = at.load(block.s0);
  if constexpr (Rule::kStates > 1) s1 = at.load(block.s1);
  update<Rule, penalised>(step, g, w, s0, s1);
  at.store(block.w, w);
  if constexpr (Rule::kStates > 0) at.store(block.s0, s0);
  if constexpr (Rule::kStates > 1) at.store(block.s1, s1);
}

template <class Rule, bool penalised>
__global__ void __launch_bounds__(kThreads)
    update_tensors(const __grid_constant__ TensorList list, const Step<Rule>* shared) {
  const Step<Rule> step = *shared;
  if (!std::isfinite(step.terms.scale)) return;
  const TensorBlock block(list);
  const unsigned fours = block.n / 4;
#pragma unroll 2
  for (unsigned i = threadIdx.x; i < fours; i += kThreads) update_at<Rule, penalised>(step, block, cuda::Four{i});
  if (const unsigned i = 4 * fours + threadIdx.x; i < block.n) update_at<Rule, penalised>(step, block, cuda::One{i});
}

template <template <class> class Rule_>
void run(const Call& c) {
  using Rule = Rule_<float>;
  const auto& plan = c.state<DensePlan>();
  const RuleParams& p = plan.params;
  const bool penalised = DenseTerms<float>(p, 1, Rule::kCoupled).penalised;
  auto* const step = c.scratch_as<Step<Rule>>();
  cuda::run(c, set_up<Rule>, 1, 1, 0, p, c.in<float>(plan.scalars()), c.in<int64_t>(plan.scalars() + 1),
            c.in<float>(plan.scalars() + 2), step);
  for (int first = 0; first < plan.tensors; first += TensorList::kMost) {
    const TensorList list = cuda::tensor_list(c, plan, first);
    if (list.blocks() == 0) continue;
    cuda::run(c, penalised ? update_tensors<Rule, true> : update_tensors<Rule, false>, list.blocks(), kThreads, 0, list,
              step);
  }
}

template <template <class> class Rule>
void prepare(const NodeSpec& n, Prepare& p) {
  p.state<DensePlan>(n, int{Rule<float>::kStates});
  p.scratch(sizeof(Step<Rule<float>>));
}
template <template <class> class Rule>
void add(Registry& r, const char* op) {
  r.add_kernel(op, {.name = "tensor_list",
                    .device = Device::CUDA,
                    .reject = cuda::reject_all_but_f32,
                    .prepare = prepare<Rule>,
                    .run = run<Rule>});
}

void prepare_sgd(const NodeSpec& n, Prepare& p) {
  dense::states_of_sgd(n.attrs) == 0 ? prepare<dense::Sgd>(n, p) : prepare<dense::Momentum>(n, p);
}
void run_sgd(const Call& c) { c.state<DensePlan>().states == 0 ? run<dense::Sgd>(c) : run<dense::Momentum>(c); }

}  // namespace

void register_optimizers_cuda(Registry& r) {
  r.add_kernel("sgd", {.name = "tensor_list",
                       .device = Device::CUDA,
                       .reject = cuda::reject_all_but_f32,
                       .prepare = prepare_sgd,
                       .run = run_sgd});
  add<dense::Adam>(r, "adam");
  add<dense::AdamW>(r, "adamw");
  add<dense::Rmsprop>(r, "rmsprop");
  add<dense::Adagrad>(r, "adagrad");
  add<dense::Ftrl>(r, "ftrl");
  add<dense::Accumulate>(r, "accumulate");
}

}  // namespace winnow
