// max and min over axes, and their gradients: the place of the first extremal element, then dx among zeros.
#include <limits>

#include "core/math.h"
#include "ops/detail/reduce_kernel.h"

namespace winnow {
namespace {

using namespace detail;

template <bool kMax>
struct Extremum {
  using Value = float;
  __device__ static float identity() {
    constexpr float kInf = std::numeric_limits<float>::infinity();
    return kMax ? -kInf : kInf;
  }
  __device__ static float f(float a, float b) { return kMax ? math::max(a, b) : math::min(a, b); }
};

constexpr int64_t kNowhere = std::numeric_limits<int64_t>::max();

struct Earliest {
  using Value = int64_t;
  __device__ static int64_t identity() { return kNowhere; }
  __device__ static int64_t f(int64_t a, int64_t b) { return a < b ? a : b; }
};
struct PlaceOfExtremum {
  static constexpr bool kPacks = false;
  bool aligned() const { return false; }
  const float *x, *y;
  template <int N>
  __device__ cuda::Vector<int64_t, 1> get(int64_t at, int64_t o, int64_t t) const {
    const float value = x[at];
    return {{value == y[o] || value != value ? t : kNowhere}};
  }
};

template <class G>
__global__ void __launch_bounds__(256)
    place_gradient(const __grid_constant__ G g, int64_t outputs, const int64_t* first, const float* dy, float* dx) {
  const int64_t o = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (o < outputs && first[o] != kNowhere) dx[g.base(o) + g.at(first[o])] = dy[o];
}

Axes axes_of(const NodeSpec& node, size_t x) {
  return merge_axes(node.in[x].shape, parse_axes(node.in[x].shape, node.attrs));
}
template <size_t kX>
const char* reject(const NodeSpec& node, const DeviceInfo& device) {
  const char* reason = cuda::reject_all_but_f32(node, device);
  return reason != nullptr ? reason : reject_reduction(axes_of(node, kX));
}
void prepare(const NodeSpec& node, Prepare& p) {
  const auto& plan = p.state<ReducePlan>(plan_reduction(axes_of(node, 0)));
  p.scratch(static_cast<size_t>(plan.partials()) * sizeof(float));
}
template <bool kMax>
void run(const Call& c) {
  reduce<Extremum<kMax>>(c, c.state<ReducePlan>(), Elements<float>{c.in<float>(0)}, Unchanged(), c.out<float>(0),
                         c.scratch);
}

void prepare_gradient(const NodeSpec& node, Prepare& p) {
  const auto& plan = p.state<ReducePlan>(plan_reduction(axes_of(node, 1)));
  p.scratch(static_cast<size_t>(plan.axes.outputs + plan.partials()) * sizeof(int64_t));
}
void run_gradient(const Call& c) {
  const auto& plan = c.state<ReducePlan>();
  const int64_t outputs = plan.axes.outputs;
  if (c.out_numel(0) == 0) return;
  auto* const first = c.scratch_as<int64_t>();
  reduce<Earliest>(c, plan, PlaceOfExtremum{c.in<float>(1), c.in<float>(2)}, Unchanged(), first, first + outputs);
  float* const dx = c.out<float>(0);
  cuda::check(cudaMemsetAsync(dx, 0, static_cast<size_t>(c.out_numel(0)) * sizeof(float), cuda::stream_of(c)),
              c.spec->op->name);
  with_terms(plan, [&]<class G>(const G& g) {
    cuda::run(c, place_gradient<G>, cuda::grid(outputs, 256, 0x7fffffff), 256, 0, g, outputs, first, c.in<float>(0),
              dx);
  });
}

template <bool kMax>
void add(Registry& r) {
  r.add_kernel(kMax ? "max" : "min",
               {.name = "ranges", .device = Device::CUDA, .reject = reject<0>, .prepare = prepare, .run = run<kMax>});
  r.add_kernel(kMax ? "max_grad" : "min_grad", {.name = "ranges",
                                                .device = Device::CUDA,
                                                .reject = reject<1>,
                                                .prepare = prepare_gradient,
                                                .run = run_gradient});
}

}  // namespace

void register_extremum_cuda(Registry& r) {
  add<true>(r);
  add<false>(r);
}

}  // namespace winnow
