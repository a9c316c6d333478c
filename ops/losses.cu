// The losses of ops/losses.def.h: a mean of terms, and its gradient. Small batches are one launch each way; a weighted
// gradient is two, the sum of the weights first.
#include "core/cuda/totals.h"
#include "ops/detail/loss_node.h"

namespace winnow {
namespace {

using cuda::LossScale, cuda::Totals, detail::Bound, detail::LossNode;

constexpr unsigned kThreads = 256;

struct Weights {
  const float* weights;  // null: all 1
  int64_t inner;         // predictions of one weight
  __device__ float operator()(int64_t i) const {
    return weights == nullptr ? 1.0f : weights[inner == 1 ? i : i / inner];
  }
};
template <class L>
struct WeightedLoss {
  Bound<L, float> op;
  const float *x, *label;
  Weights weight;
  __device__ Totals operator()(int64_t i) const {
    const float w = weight(i);
    return {w == 0.0f ? 0.0 : static_cast<double>(w * op.f(x[i], label[i])), static_cast<double>(w)};
  }
};
struct WeightOf {
  Weights weight;
  __device__ Totals operator()(int64_t i) const { return {0.0, static_cast<double>(weight(i))}; }
};

template <class L>
__global__ void __launch_bounds__(kThreads) gradient(Bound<L, float> op, const float* x, const float* label,
                                                     Weights weight, LossScale mean, float* dx, int64_t n) {
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  const auto scale = static_cast<float>(mean());
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += step) {
    const float w = weight(i), d = scale * w * op.gradient(x[i], label[i]);
    dx[i] = w == 0.0f ? 0.0f : d;
  }
}

template <class L>
void prepare_loss(const NodeSpec& node, Prepare& p) {
  p.scratch(cuda::totals_bytes(p.state<LossNode>(LossNode::of<L>(node, 0)).n));
}
template <class L>
void run_loss(const Call& c) {
  const auto& s = c.state<LossNode>();
  const WeightedLoss<L> term{
      Bound<L, float>(s.parameters), c.in<float>(0), c.in<float>(1), {s.weighted ? c.in<float>(2) : nullptr, s.inner}};
  cuda::totals(c, s.n, c.scratch, term, cuda::StoreMean{c.out<float>(0)});
}
// Scratch: the sum of the weights, then what it is made of.
template <class L>
void prepare_gradient(const NodeSpec& node, Prepare& p) {
  const auto& s = p.state<LossNode>(LossNode::of<L>(node, 1));
  p.scratch(s.weighted ? sizeof(Totals) + cuda::totals_bytes(s.n) : 0);
}
template <class L>
void run_gradient(const Call& c) {
  const auto& s = c.state<LossNode>();
  if (s.n == 0) return;
  const Weights weights{s.weighted ? c.in<float>(3) : nullptr, s.inner};
  auto* const sum = s.weighted ? c.scratch_as<double>() : nullptr;
  if (s.weighted) cuda::totals(c, s.n, c.scratch_as<Totals>() + 1, WeightOf{weights}, cuda::StoreWeight{sum});
  cuda::run(c, gradient<L>, cuda::grid(s.n, kThreads, 4096), kThreads, 0, Bound<L, float>(s.parameters), c.in<float>(1),
            c.in<float>(2), weights, LossScale{c.in<float>(0), sum, static_cast<double>(s.n)}, c.out<float>(0), s.n);
}

template <class L>
void add_kernels(Registry& r) {
  r.add_kernel(L::kName, {.name = "blocks",
                          .device = Device::CUDA,
                          .reject = cuda::reject_all_but_f32,
                          .prepare = prepare_loss<L>,
                          .run = run_loss<L>});
  r.add_kernel(std::string(L::kName) + "_grad", {.name = "elements",
                                                 .device = Device::CUDA,
                                                 .reject = cuda::reject_all_but_f32,
                                                 .prepare = prepare_gradient<L>,
                                                 .run = run_gradient<L>});
}
template <class... L>
void add_all(Registry& r, losses::List<L...>) {
  (add_kernels<L>(r), ...);
}

}  // namespace

void register_losses_cuda(Registry& r) { add_all(r, losses::All()); }

}  // namespace winnow
