// Lookups: a group of lanes a bag, 16 bytes a lane. Bound by memory: the rows of the table, scattered, and the result.
#include "core/cuda/packs.h"
#include "ops/detail/device_bags.h"

namespace winnow {
namespace {

using cuda::BagOfLanes, cuda::BagTable, cuda::Pack, cuda::RowLanes;

constexpr unsigned kThreads = 256;
constexpr int kInFlight = 4;  // rows of a bag

// One id a bag.
template <int V>
__global__ void __launch_bounds__(kThreads)
    copy_rows(const __grid_constant__ BagTable t, RowLanes lanes, BagData<float> in, const float* __restrict__ table,
              float* __restrict__ out) {
  const BagOfLanes at(t, lanes.bits);
  if (!at.exists) return;
  const int64_t row = t.row(at.f, in.ids[at.bag]);
  const float weight = in.weights != nullptr ? in.weights[at.bag] : 1.0f;
  const float* const from = table + row * lanes.dim;  // not read where the id is missing
  float* const to = out + at.bag * lanes.dim;
#pragma unroll 4
  for (int j = lanes.lane() * V; j < lanes.dim; j += V << lanes.bits) {
    Pack<V> x{};
    if (row >= 0) {
      x = cuda::load_vector<V>(from + j);
      if (in.weights != nullptr)
        for (float& v : x.v) v *= weight;
    }
    cuda::store_vector(to + j, x);
  }
}

// Adds rows of positions [from, to) to sum, or takes the largest; the number of ids that are not missing.
template <int V>
__device__ int pool_rows(const BagTable& t, unsigned f, const BagData<float>& in, const float* column, int dim,
                         int64_t from, int64_t to, Pack<V>& sum) {
  const bool max = t.pool[f] == BagSpec::Max;
  int valid = 0;
  for (int64_t k = from; k < to; k += kInFlight) {
    Pack<V> x[kInFlight];
    float weight[kInFlight];
    bool present[kInFlight];
#pragma unroll
    for (int u = 0; u < kInFlight; ++u) {
      const int64_t row = k + u < to ? t.row(f, in.ids[k + u]) : -1;
      present[u] = row >= 0;
      x[u] = present[u] ? cuda::load_vector<V>(column + row * dim) : Pack<V>{};
      weight[u] = present[u] && in.weights != nullptr ? in.weights[k + u] : 1.0f;
    }
#pragma unroll
    for (int u = 0; u < kInFlight; ++u) {
      if (!present[u]) continue;
      for (int q = 0; q < V; ++q) {
        if (max)
          sum.v[q] = valid == 0 || x[u].v[q] > sum.v[q] ? x[u].v[q] : sum.v[q];
        else
          sum.v[q] += weight[u] * x[u].v[q];
      }
      ++valid;
    }
  }
  return valid;
}

template <int V>
__global__ void __launch_bounds__(kThreads)
    pool_bags(const __grid_constant__ BagTable t, RowLanes lanes, BagData<float> in, const float* __restrict__ table,
              float* __restrict__ out) {
  const BagOfLanes at(t, lanes.bits);
  if (!at.exists) return;
  const int64_t from = in.begin(at.bag), to = in.end(at.bag);
  for (int j = lanes.lane() * V; j < lanes.dim; j += V << lanes.bits) {
    Pack<V> sum{};
    const int valid = pool_rows(t, at.f, in, table + j, lanes.dim, from, to, sum);
    if (t.pool[at.f] == BagSpec::Mean && valid > 1)
      for (float& v : sum.v) v /= static_cast<float>(valid);
    cuda::store_vector(out + at.bag * lanes.dim + j, sum);
  }
}

struct Lookup {
  BagSpec bags;
  int64_t dim;
};

void prepare(const NodeSpec& n, Prepare& p) {
  p.state<Lookup>(read_bags(n.attrs, "", n.in[1].shape, n.attrs.flag("has_offsets") ? &n.in[2].shape : nullptr),
                  n.in[0].shape[1]);
}
void run(const Call& c) {
  const auto& s = c.state<Lookup>();
  if (c.out_numel(0) == 0) return;
  const BagData<float> in(c, s.bags, 1);
  cuda::visit_pack(s.dim, [&]<int V>() {
    const RowLanes lanes(s.dim, V);
    cuda::each_bag_table(s.bags, [&](const BagTable& t) {
      cuda::run(c, s.bags.has_offsets ? pool_bags<V> : copy_rows<V>, BagOfLanes::grid(t, lanes.bits, kThreads),
                kThreads, 0, t, lanes, in, c.in<float>(0), c.out<float>(0));
    });
  });
}

}  // namespace

void register_embedding_bag_cuda(Registry& r) {
  r.add_kernel(
      "embedding_bag",
      {.name = "lane_groups", .device = Device::CUDA, .reject = cuda::reject_bags, .prepare = prepare, .run = run});
}

}  // namespace winnow
