// The unary operators of ops/pointwise.def.h and their gradients: one pass, 16 bytes a thread where the operands allow.
#include "core/cuda/kernel.h"
#include "core/cuda/vectors.h"
#include "ops/detail/bound_operator.h"

namespace winnow {
namespace {

using detail::Bound, detail::Parameters, detail::parameters_of;

constexpr unsigned kThreads = 256;

template <class Op>
__global__ void __launch_bounds__(kThreads) unary(Bound<Op, float> op, const float* x, float* y, int64_t n) {
  cuda::each_vector(
      n, [&](auto at) { at.store(y, cuda::map([&](float v) { return op.f(v); }, at.load(x))); }, x, y);
}
template <class Op>
__global__ void __launch_bounds__(kThreads)
    unary_gradient(Bound<Op, float> op, const float* dy, const float* v, float* dx, int64_t n) {
  cuda::each_vector(
      n,
      [&](auto at) {
        at.store(dx, cuda::map([&](float d, float u) { return op.gradient(d, u); }, at.load(dy), at.load(v)));
      },
      dy, v, dx);
}

template <class Op>
void prepare(const NodeSpec& node, Prepare& p) {
  p.state<Parameters>(parameters_of<Op>(node.attrs));
}
template <class Op>
void run_unary(const Call& c) {
  const int64_t n = c.out_numel(0);
  if (n == 0) return;
  cuda::run(c, unary<Op>, cuda::vector_grid(n, kThreads), kThreads, 0, Bound<Op, float>(c.state<Parameters>()),
            c.in<float>(0), c.out<float>(0), n);
}
template <class Op>
void run_gradient(const Call& c) {
  const int64_t n = c.out_numel(0);
  if (n == 0) return;
  cuda::run(c, unary_gradient<Op>, cuda::vector_grid(n, kThreads), kThreads, 0, Bound<Op, float>(c.state<Parameters>()),
            c.in<float>(0), c.in<float>(1), c.out<float>(0), n);
}

template <class Op>
void add_kernels(Registry& r) {
  r.add_kernel(Op::kName, {.name = "vectors",
                           .device = Device::CUDA,
                           .reject = cuda::reject_all_but_f32,
                           .prepare = prepare<Op>,
                           .run = run_unary<Op>});
  r.add_kernel(std::string(Op::kName) + "_grad", {.name = "vectors",
                                                  .device = Device::CUDA,
                                                  .reject = cuda::reject_all_but_f32,
                                                  .prepare = prepare<Op>,
                                                  .run = run_gradient<Op>});
}

template <class... Op>
void add_all(Registry& r, pointwise::List<Op...>) {
  (add_kernels<Op>(r), ...);
}

}  // namespace

void register_pointwise_cuda(Registry& r) { add_all(r, pointwise::UnaryOperators()); }

}  // namespace winnow
