// l2_penalty, l1_penalty and their gradients.
#include "core/cuda/vectors.h"
#include "ops/detail/penalties.h"
#include "ops/detail/tensor_sums_kernel.h"

namespace winnow {
namespace {

using namespace detail;

struct AsItIs {
  __device__ double operator()(double sum) const { return sum; }
};

void prepare(const NodeSpec& node, Prepare& p) {
  p.scratch(static_cast<size_t>(tensor_blocks(node.in[0].shape.numel())) * sizeof(double));
}
template <class P>
void run(const Call& c) {
  TensorSums<P> sums(c, c.scratch_as<double>());
  sums.add(c.in<float>(0), c.in_numel(0));
  sums.finish(AsItIs(), c.out<float>(0));
}

template <class P>
__global__ void __launch_bounds__(256) penalty_gradient(const float* dy, const float* x, float* dx, int64_t n) {
  const float d = *dy;
  cuda::each_vector(
      n, [&](auto at) { at.store(dx, cuda::map([&](float v) { return d * P::df(v); }, at.load(x))); }, x, dx);
}
template <class P>
void run_gradient(const Call& c) {
  const int64_t n = c.out_numel(0);
  if (n == 0) return;
  cuda::run(c, penalty_gradient<P>, cuda::vector_grid(n, 256), 256, 0, c.in<float>(0), c.in<float>(1), c.out<float>(0),
            n);
}

template <class P>
void add(Registry& r) {
  r.add_kernel(P::kName, {.name = "blocks",
                          .device = Device::CUDA,
                          .reject = cuda::reject_all_but_f32,
                          .prepare = prepare,
                          .run = run<P>});
  r.add_kernel(std::string(P::kName) + "_grad",
               {.name = "vectors", .device = Device::CUDA, .reject = cuda::reject_all_but_f32, .run = run_gradient<P>});
}

}  // namespace

void register_regularize_cuda(Registry& r) {
  add<L2>(r);
  add<L1>(r);
}

}  // namespace winnow
