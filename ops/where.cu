#include "ops/detail/broadcast_kernel.h"

namespace winnow {
namespace {

using namespace detail;

struct Taken {
  template <class C, class T>
  WN_HD static T f(C condition, T a, T b) {
    return condition != C(0) ? a : b;
  }
};

void prepare(const NodeSpec& node, Prepare& p) {
  p.state<BroadcastPlan<3>>(
      plan_broadcast<3>(node.out[0].shape, {node.in[0].shape, node.in[1].shape, node.in[2].shape}));
}
void run(const Call& c) {
  const auto& plan = c.state<BroadcastPlan<3>>();
  const float *a = c.in<float>(1), *b = c.in<float>(2);
  if (c.in_spec(0).dtype == DType::U8)
    broadcast<Taken>(c, plan, c.out<float>(0), c.in<uint8_t>(0), a, b);
  else
    broadcast<Taken>(c, plan, c.out<float>(0), c.in<float>(0), a, b);
}

}  // namespace

void register_where_cuda(Registry& r) {
  r.add_kernel(
      "where",
      {.name = "packs", .device = Device::CUDA, .reject = cuda::reject_all_but_f32, .prepare = prepare, .run = run});
}

}  // namespace winnow
