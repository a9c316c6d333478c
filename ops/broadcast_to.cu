#include "ops/detail/broadcast_kernel.h"
#include "ops/detail/element_size.h"

namespace winnow {
namespace {

using namespace detail;

void prepare(const NodeSpec& node, Prepare& p) {
  p.state<BroadcastPlan<1>>(plan_broadcast<1>(node.out[0].shape, {node.in[0].shape}));
}
void run(const Call& c) {
  visit_size(c.in_spec(0).dtype,
             [&]<class U> { broadcast<Copied>(c, c.state<BroadcastPlan<1>>(), c.out<U>(0), c.in<U>(0)); });
}

}  // namespace

void register_broadcast_to_cuda(Registry& r) {
  r.add_kernel("broadcast_to", {.name = "packs", .device = Device::CUDA, .prepare = prepare, .run = run});
}

}  // namespace winnow
