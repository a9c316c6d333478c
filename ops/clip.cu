// global_norm and clip_scale.
#include "ops/detail/clip_scale.h"
#include "ops/detail/tensor_sums_kernel.h"

namespace winnow {
namespace {

using namespace detail;

struct Squared {
  __device__ static float f(float x) { return x * x; }
};
struct Root {
  __device__ double operator()(double sum) const { return math::sqrt(sum); }
};

int gradients_of(const NodeSpec& node) {
  return static_cast<int>(node.in.size()) - static_cast<int>(node.attrs.integer("squares", 0));
}
void prepare_norm(const NodeSpec& node, Prepare& p) {
  p.state<int>(gradients_of(node));
  int64_t blocks = 0;
  for (const TensorSpec& x : node.in) blocks += tensor_blocks(x.shape.numel());
  p.scratch(static_cast<size_t>(blocks) * sizeof(double));
}
void run_norm(const Call& c) {
  TensorSums<Squared> sums(c, c.scratch_as<double>());
  for (int i = 0; i < static_cast<int>(c.spec->in.size()); ++i)
    sums.add(c.in<float>(i), c.in_numel(i), i >= c.state<int>());
  sums.finish(Root(), c.out<float>(0));
}

template <class Unused = void>
__global__ void __launch_bounds__(1) scale_of_norm(const float* norm, double max_norm, float* y) {
  *y = static_cast<float>(clip_scale(static_cast<double>(*norm), max_norm));
}
void prepare_scale(const NodeSpec& node, Prepare& p) { p.state<double>(node.attrs.number("max_norm")); }
void run_scale(const Call& c) {
  cuda::run(c, scale_of_norm<>, 1, 1, 0, c.in<float>(0), c.state<double>(), c.out<float>(0));
}

}  // namespace

void register_clip_cuda(Registry& r) {
  r.add_kernel("global_norm", {.name = "blocks",
                               .device = Device::CUDA,
                               .reject = cuda::reject_all_but_f32,
                               .prepare = prepare_norm,
                               .run = run_norm});
  r.add_kernel("clip_scale", {.name = "one thread",
                              .device = Device::CUDA,
                              .reject = cuda::reject_all_but_f32,
                              .prepare = prepare_scale,
                              .run = run_scale});
}

}  // namespace winnow
