// sum, mean and sum_to.
#include "ops/detail/reduce_kernel.h"

namespace winnow {
namespace {

using namespace detail;

struct Total {
  using Value = float;
  __device__ static float identity() { return 0; }
  __device__ static float f(float a, float b) { return a + b; }
};
struct Scaled {
  float scale;
  __device__ float operator()(float sum) const { return scale * sum; }
};
struct State {
  ReducePlan plan;
  Scaled finish;
};

const char* reject(const NodeSpec& node, const DeviceInfo& device) {
  const char* reason = cuda::reject_all_but_f32(node, device);
  return reason != nullptr ? reason : reject_reduction(summed_axes(node));
}
void prepare(const NodeSpec& node, Prepare& p) {
  auto& s = p.state<State>();
  s.plan = plan_reduction(summed_axes(node));
  s.finish.scale = static_cast<float>(sum_scale(node, s.plan.axes));
  p.scratch(static_cast<size_t>(s.plan.partials()) * sizeof(float));
}
void run(const Call& c) {
  const auto& s = c.state<State>();
  reduce<Total>(c, s.plan, Elements<float>{c.in<float>(0)}, s.finish, c.out<float>(0), c.scratch);
}

}  // namespace

void register_reduce_cuda(Registry& r) {
  for (const char* op : {"sum", "mean", "sum_to"})
    r.add_kernel(op, {.name = "ranges", .device = Device::CUDA, .reject = reject, .prepare = prepare, .run = run});
}

}  // namespace winnow
