#include "core/cuda/kernel.h"
#include "ops/detail/rotary_frequency.h"

namespace winnow {
namespace {

using namespace detail;

struct Rotary {
  int heads, half;
  double base, sign;
};

// One thread turns pair i of every head of a token: neighbours read neighbours, and one cosine and sine in double
// serves all heads. y may be x.
template <class Unused = void>
__global__ void __launch_bounds__(256)
    turn_pairs(Rotary r, int64_t pairs, const float* x, const int64_t* positions, float* y) {
  const int64_t p = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (p >= pairs) return;
  const int64_t token = p / r.half, place = positions[token];
  const int i = static_cast<int>(p - token * r.half), turned = place < 0 ? 0 : 2 * r.heads;
  x += token * 6 * r.heads * r.half + i;
  y += token * 6 * r.heads * r.half + i;
  if (turned > 0) {
    const double angle = static_cast<double>(place) * (r.sign * rotary_frequency(r.base, i, r.half));
    const float c = static_cast<float>(std::cos(angle)), d = static_cast<float>(std::sin(angle));
    for (int h = 0; h < turned; ++h) {
      const int at = 2 * h * r.half;
      const float first = x[at], second = x[at + r.half];
      y[at] = first * c - second * d;
      y[at + r.half] = second * c + first * d;
    }
  }
  if (x == y) return;
  for (int h = turned; h < 3 * r.heads; ++h) {
    const int at = 2 * h * r.half;
    const float first = x[at], second = x[at + r.half];
    y[at] = first;
    y[at + r.half] = second;
  }
}

void prepare(const NodeSpec& n, Prepare& p) {
  const int64_t heads = n.attrs.integer("heads");
  p.state<Rotary>(Rotary{static_cast<int>(heads), static_cast<int>(n.in[0].shape[1] / (6 * heads)),
                         n.attrs.number("base"), n.attrs.flag("back") ? -1.0 : 1.0});
}
void run(const Call& c) {
  const auto& r = c.state<Rotary>();
  const int64_t pairs = c.in_spec(0).shape[0] * r.half;
  if (pairs == 0) return;
  cuda::run(c, turn_pairs<>, cuda::grid(pairs, 256, 0x7fffffff), 256, 0, r, pairs, c.in<float>(0), c.in<int64_t>(1),
            c.out<float>(0));
}

}  // namespace

void register_rotary_cuda(Registry& r) {
  r.add_kernel(
      "rotary",
      {.name = "pairs", .device = Device::CUDA, .reject = cuda::reject_all_but_f32, .prepare = prepare, .run = run});
}

}  // namespace winnow
