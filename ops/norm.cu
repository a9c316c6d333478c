// layer_norm, rms_norm and their gradients: the kernels of ops/detail/norm_kernels.h.
#include "ops/detail/norm_kernels.h"

namespace winnow {
namespace {

using detail::NormForward, detail::NormGradient;

struct State {
  float eps;
  int64_t rows, n;
};
State state_of(const NodeSpec& node, size_t x) {
  const Shape& s = node.in[x].shape;
  return {static_cast<float>(node.attrs.number("eps", 0)), s.outer(s.rank() - 1), s.back()};
}
void prepare(const NodeSpec& node, Prepare& p) { p.state<State>(state_of(node, 0)); }
template <bool kCentred>
void prepare_gradient(const NodeSpec& node, Prepare& p) {
  const State& s = p.state<State>(state_of(node, 1));
  p.scratch(detail::norm_gradient_scratch<kCentred>(s.rows, s.n));
}

void run_layer_norm(const Call& c) {
  const auto& s = c.state<State>();
  const NormForward a{.x = c.in<float>(0),
                      .gamma = c.in<float>(1),
                      .beta = c.in<float>(2),
                      .y = c.out<float>(0),
                      .mean = c.out<float>(1),
                      .rstd = c.out<float>(2),
                      .eps = s.eps,
                      .n = s.n};
  detail::run_norm<true>(c, a, s.rows);
}
void run_rms_norm(const Call& c) {
  const auto& s = c.state<State>();
  const NormForward a{.x = c.in<float>(0),
                      .gamma = c.in<float>(1),
                      .y = c.out<float>(0),
                      .rstd = c.out<float>(1),
                      .eps = s.eps,
                      .n = s.n};
  detail::run_norm<false>(c, a, s.rows);
}
template <bool kCentred>
void run_gradient(const Call& c) {
  const auto& s = c.state<State>();
  const NormGradient a{.dy = c.in<float>(0),
                       .x = c.in<float>(1),
                       .gamma = c.in<float>(2),
                       .mean = kCentred ? c.in<float>(3) : nullptr,
                       .rstd = c.in<float>(kCentred ? 4 : 3),
                       .dx = c.out<float>(0),
                       .n = s.n};
  detail::run_norm_gradient<kCentred>(c, a, s.rows, c.out<float>(1), kCentred ? c.out<float>(2) : nullptr);
}

}  // namespace

void register_norm_cuda(Registry& r) {
  const auto add = [&](const char* op, auto prepare_node, auto run) {
    r.add_kernel(op, {.name = "rows",
                      .device = Device::CUDA,
                      .reject = cuda::reject_all_but_f32,
                      .prepare = prepare_node,
                      .run = run});
  };
  add("layer_norm", prepare, run_layer_norm);
  add("layer_norm_grad", prepare_gradient<true>, run_gradient<true>);
  add("rms_norm", prepare, run_rms_norm);
  add("rms_norm_grad", prepare_gradient<false>, run_gradient<false>);
}

}  // namespace winnow
