// add_layer_norm and its gradient: the kernels of ops/detail/norm_kernels.h. A Philox block makes the masks of four
// elements there, which stays below what memory costs.
#include "ops/detail/norm_kernels.h"

namespace winnow {
namespace {

using detail::NormForward, detail::NormGradient, detail::PackDropout, detail::RowDropout;

struct State {
  RowDropout drop;
  float eps;
  int64_t rows, n;
  bool dsum;
  explicit State(const NodeSpec& node)
      : drop(node),
        eps(static_cast<float>(node.attrs.number("eps"))),
        rows(node.in[0].shape.outer(node.in[0].shape.rank() - 1)),
        n(node.in[0].shape.back()),
        dsum(node.attrs.flag("has_dsum")) {}
};
void prepare(const NodeSpec& node, Prepare& p) { p.state<State>(node); }
void run(const Call& c) {
  const auto& s = c.state<State>();
  const NormForward a{.x = c.in<float>(0),
                      .z = c.in<float>(1),
                      .gamma = c.in<float>(2),
                      .beta = c.in<float>(3),
                      .sum = c.out<float>(1),
                      .y = c.out<float>(0),
                      .eps = s.eps,
                      .n = s.n,
                      .drop = PackDropout(s.drop, c)};
  detail::run_norm<true>(c, a, s.rows);
}
void prepare_gradient(const NodeSpec& node, Prepare& p) {
  const State& s = p.state<State>(node);
  p.scratch(detail::norm_gradient_scratch<true>(s.rows, s.n));
}
void run_gradient(const Call& c) {
  const auto& s = c.state<State>();
  const bool drops = s.drop.threshold > 0, low = drops && c.out_spec(3).dtype == DType::BF16;
  const NormGradient a{.dy = c.in<float>(0),
                       .x = c.in<float>(1),
                       .gamma = c.in<float>(2),
                       .dsum = s.dsum ? c.in<float>(3) : nullptr,
                       .dx = c.out<float>(0),
                       .dz = drops && !low ? c.out<float>(3) : nullptr,
                       .low_dz = low ? c.out<bf16>(3) : nullptr,
                       .eps = s.eps,
                       .n = s.n,
                       .drop = PackDropout(s.drop, c)};
  detail::run_norm_gradient<true>(c, a, s.rows, c.out<float>(1), c.out<float>(2));
}

}  // namespace

void register_add_layer_norm_cuda(Registry& r) {
  r.add_kernel(
      "add_layer_norm",
      {.name = "rows", .device = Device::CUDA, .reject = cuda::reject_all_but_f32, .prepare = prepare, .run = run});
  r.add_kernel("add_layer_norm_grad", {.name = "rows",
                                       .device = Device::CUDA,
                                       .reject = cuda::reject_all_but_f32,
                                       .prepare = prepare_gradient,
                                       .run = run_gradient});
}

}  // namespace winnow
