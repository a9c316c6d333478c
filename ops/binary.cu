// The binary operators of ops/pointwise.def.h and their gradients.
#include "ops/detail/binary_functions.h"
#include "ops/detail/broadcast_kernel.h"
#include "ops/pointwise.def.h"

namespace winnow {
namespace {

using namespace detail;
using pointwise::Chain;

struct Gradient {
  BroadcastPlan<3> plan;
  bool by_b;
};

void prepare(const NodeSpec& node, Prepare& p) {
  p.state<BroadcastPlan<2>>(plan_broadcast<2>(node.out[0].shape, {node.in[0].shape, node.in[1].shape}));
}
void prepare_gradient(const NodeSpec& node, Prepare& p) {
  auto& s = p.state<Gradient>();
  s.plan = plan_broadcast<3>(node.out[0].shape, {node.in[0].shape, node.in[1].shape, node.in[2].shape});
  s.by_b = node.attrs.flag("wrt");
}
template <class Op>
void run(const Call& c) {
  broadcast<Forward<Op>>(c, c.state<BroadcastPlan<2>>(), c.out<float>(0), c.in<float>(0), c.in<float>(1));
}
template <class Op>
void run_gradient(const Call& c) {
  const auto& s = c.state<Gradient>();
  const float *dy = c.in<float>(0), *a = c.in<float>(1), *b = c.in<float>(2);
  s.by_b ? broadcast<ByB<Op>>(c, s.plan, c.out<float>(0), dy, a, b)
         : broadcast<ByA<Op>>(c, s.plan, c.out<float>(0), dy, a, b);
}

template <class Op>
void add_kernels(Registry& r) {
  r.add_kernel(Op::kName, {.name = "packs",
                           .device = Device::CUDA,
                           .reject = cuda::reject_all_but_f32,
                           .prepare = prepare,
                           .run = run<Op>});
  if constexpr (Op::kChain == Chain::Own)
    r.add_kernel(std::string(Op::kName) + "_grad", {.name = "packs",
                                                    .device = Device::CUDA,
                                                    .reject = cuda::reject_all_but_f32,
                                                    .prepare = prepare_gradient,
                                                    .run = run_gradient<Op>});
}
template <class... Op>
void add_all(Registry& r, pointwise::List<Op...>) {
  (add_kernels<Op>(r), ...);
}

}  // namespace

void register_binary_cuda(Registry& r) { add_all(r, pointwise::BinaryOperators()); }

}  // namespace winnow
