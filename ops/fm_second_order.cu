// Factorization machine: a group of lanes a sample, walking its features. Bound by memory: x is read once, by the
// gradient a second time out of the cache.
#include "core/cuda/kernel.h"
#include "core/cuda/packs.h"

namespace winnow {
namespace {

using cuda::Pack, cuda::RowLanes;

constexpr unsigned kThreads = 128;  // small blocks: a batch has few lanes

// Each feature times the sum of those before it: the same sum over pairs, without the cancellation of Rendle's form.
template <int V>
__global__ void __launch_bounds__(kThreads)
    pairs(RowLanes lanes, int64_t samples, int features, const float* __restrict__ x, float* __restrict__ y) {
  const int64_t b = lanes.row();
  if (b >= samples) return;  // with its whole group
  const float* const sample = x + b * features * lanes.dim;
  float total = 0;
  for (int j = lanes.lane() * V; j < lanes.dim; j += V << lanes.bits) {
    Pack<V> sum{}, product{};
    if (features > 0) sum = cuda::load_vector<V>(sample + j);
#pragma unroll 8
    for (int i = 1; i < features; ++i) {
      const Pack<V> row = cuda::load_vector<V>(sample + i * lanes.dim + j);
      for (int q = 0; q < V; ++q) {
        product.v[q] += row.v[q] * sum.v[q];
        sum.v[q] += row.v[q];
      }
    }
    for (const float v : product.v) total += v;
  }
  for (int distance = lanes.lanes() / 2; distance > 0; distance /= 2)
    total += __shfl_xor_sync(lanes.mask(), total, distance);
  if (lanes.lane() == 0) y[b] = total;
}

template <int V>
__global__ void __launch_bounds__(kThreads, 4)
    pairs_gradient(RowLanes lanes, int64_t samples, int features, const float* __restrict__ dy,
                   const float* __restrict__ x, float* __restrict__ dx) {
  const int64_t b = lanes.row();
  if (b >= samples) return;
  const int64_t first = b * features * lanes.dim;
  const float g = dy[b];
  for (int j = lanes.lane() * V; j < lanes.dim; j += V << lanes.bits) {
    Pack<V> sum{};
#pragma unroll 8
    for (int i = 0; i < features; ++i) {
      const Pack<V> row = cuda::load_vector<V>(x + first + i * lanes.dim + j);
      for (int q = 0; q < V; ++q) sum.v[q] += row.v[q];
    }
#pragma unroll 4
    for (int i = 0; i < features; ++i) {
      Pack<V> row = cuda::load_vector<V>(x + first + i * lanes.dim + j);
      for (int q = 0; q < V; ++q) row.v[q] = g * (sum.v[q] - row.v[q]);
      cuda::store_vector(dx + first + i * lanes.dim + j, row);
    }
  }
}

void run(const Call& c) {
  const Shape& s = c.in_spec(0).shape;
  if (s[0] == 0) return;
  cuda::visit_pack(s[2], [&]<int V>() {
    const RowLanes lanes(s[2], V);
    cuda::run(c, pairs<V>, lanes.grid(s[0], kThreads), kThreads, 0, lanes, s[0], static_cast<int>(s[1]), c.in<float>(0),
              c.out<float>(0));
  });
}
void run_grad(const Call& c) {
  const Shape& s = c.in_spec(1).shape;
  if (s.numel() == 0) return;
  cuda::visit_pack(s[2], [&]<int V>() {
    const RowLanes lanes(s[2], V);
    cuda::run(c, pairs_gradient<V>, lanes.grid(s[0], kThreads), kThreads, 0, lanes, s[0], static_cast<int>(s[1]),
              c.in<float>(0), c.in<float>(1), c.out<float>(0));
  });
}

const char* reject(const NodeSpec& node, const DeviceInfo& device) {
  const Shape& x = node.in.back().shape;
  return x[1] * x[2] >= 1 << 30 ? "a sample of 2^30 elements or more" : cuda::reject_all_but_f32(node, device);
}

}  // namespace

void register_fm_second_order_cuda(Registry& r) {
  r.add_kernel("fm_second_order", {.name = "lane_groups", .device = Device::CUDA, .reject = reject, .run = run});
  r.add_kernel("fm_second_order_grad",
               {.name = "lane_groups", .device = Device::CUDA, .reject = reject, .run = run_grad});
}

}  // namespace winnow
