// Gradients of a lookup. Of a dense table: its ids are sorted by row as for a row-sparse one (ops/segments.cu), and
// each row that occurs is summed in order; bound by memory: dy, scattered, and the whole result. Of the weights: a dot
// product an id.
#include "ops/detail/device_bags.h"
#include "ops/detail/device_segments.h"
#include "ops/detail/occurrences.h"

namespace winnow {
namespace {

using cuda::BagOfLanes, cuda::BagTable, cuda::LongSums, cuda::Pack, cuda::RowLanes, cuda::Segments;

constexpr unsigned kThreads = 256;

const Shape* offsets_of(const NodeSpec& n, int first) {
  return n.attrs.flag("has_offsets") ? &n.in[static_cast<size_t>(first + 1)].shape : nullptr;
}

// ---- table

template <int V>
__global__ void __launch_bounds__(kThreads) put_rows(Segments s, RowLanes lanes, LongSums sums, float* dtable) {
  const int64_t k = lanes.row();
  if (k >= s.count()) return;
  float* const row = dtable + s.rows[k] * s.dim;
  for (int j = lanes.lane() * V; j < s.dim; j += V << lanes.bits)
    cuda::store_vector(row + j, s.sum<V>(static_cast<int>(k), j, sums));
}

// With max pooling somewhere. first [bags, dim]: position of the first largest row of a bag, -1 where none or not max.
__global__ void __launch_bounds__(kThreads) find_largest(const __grid_constant__ BagTable t, RowLanes lanes,
                                                         BagData<float> in, const float* table, int32_t* first) {
  const BagOfLanes at(t, lanes.bits);
  if (!at.exists || t.pool[at.f] != BagSpec::Max) return;
  for (int j = lanes.lane(); j < lanes.dim; j += lanes.lanes()) {
    int64_t position = -1;
    float most = 0;
    for (int64_t k = in.begin(at.bag), end = in.end(at.bag); k < end; ++k) {
      const int64_t row = t.row(at.f, in.ids[k]);
      if (row < 0) continue;
      const float x = table[row * lanes.dim + j];
      if (position < 0 || x > most) position = k, most = x;
    }
    first[at.bag * lanes.dim + j] = static_cast<int32_t>(position);
  }
}
// A flag for each bag that pools by max.
__global__ void __launch_bounds__(kThreads) mark_max(const __grid_constant__ BagTable t, int32_t* is_max) {
  const BagOfLanes at(t, 0);
  if (at.exists) is_max[at.bag] = t.pool[at.f] == BagSpec::Max;
}
__global__ void __launch_bounds__(kThreads)
    put_rows_of_max(Segments s, RowLanes lanes, const int32_t* position, const int32_t* is_max, const int32_t* first,
                    float* dtable) {
  const int64_t k = lanes.row();
  if (k >= s.count()) return;
  const int begin = s.start(static_cast<int>(k)), end = s.start(static_cast<int>(k) + 1);
  for (int j = lanes.lane(); j < s.dim; j += lanes.lanes()) {
    float sum = 0;
#pragma unroll 1
    for (int i = begin; i < end; ++i) {
      const int64_t at = int64_t{s.bag[i]} * s.dim + j;
      if (is_max[s.bag[i]] == 0)
        sum += s.coef[i] * s.dy[at];
      else if (first[at] == position[i])
        sum += s.dy[at];
    }
    dtable[s.rows[k] * s.dim + j] = sum;
  }
}

struct Scatter {
  BagSpec bags;
  SegmentPlan plan;
  int64_t dim;
};

// Scratch: the segments, what max pooling needs, and in turn what sorts and what sums long segments.
struct Work {
  cuda::SegmentArrays segments{};
  int32_t* first;
  int32_t* is_max;
  char* rest;
  size_t bytes = 0;
  Work(const Scatter& s, void* scratch) {
    const auto n = static_cast<size_t>(s.plan.n), bags = s.bags.any_max ? static_cast<size_t>(s.bags.bags) : 0;
    const auto take = [&]<class T>(T*& part, size_t count) {
      part = reinterpret_cast<T*>(static_cast<char*>(scratch) + bytes);
      bytes += (count * sizeof(T) + 63) / 64 * 64;
    };
    take(segments.unique_rows, n);
    take(segments.starts, n + 1);
    take(segments.count, 1);
    take(segments.bag, n);
    take(segments.coef, n);
    take(segments.position, s.bags.any_max ? n : 0);
    if (!s.bags.any_max) segments.position = nullptr;
    take(first, bags * static_cast<size_t>(s.dim));
    take(is_max, bags);
    take(rest, std::max(cuda::occurrence_scratch_bytes(s.plan), cuda::long_sums_bytes(s.plan.n, s.dim)));
  }
};

void prepare_table(const NodeSpec& n, Prepare& p) {
  const BagSpec bags = read_bags(n.attrs, "", n.in[1].shape, offsets_of(n, 1));
  const auto& s = p.state<Scatter>(Scatter{bags, SegmentPlan({bags}, 1), n.out[0].shape[1]});
  alignas(64) static char origin;
  p.scratch(Work(s, &origin).bytes);
}

void put_with_max(const Call& c, const Scatter& s, const Segments& segments, const Work& w) {
  const BagData<float> in(c, s.bags, 1);
  const RowLanes lanes(s.dim, 1);
  cuda::each_bag_table(s.bags, [&](const BagTable& t) {
    cuda::run(c, mark_max, BagOfLanes::grid(t, 0, kThreads), kThreads, 0, t, w.is_max);
    cuda::run(c, find_largest, BagOfLanes::grid(t, lanes.bits, kThreads), kThreads, 0, t, lanes, in,
              c.in<float>(1 + s.bags.inputs()), w.first);
  });
  cuda::run(c, put_rows_of_max, lanes.grid(segments.positions, kThreads), kThreads, 0, segments, lanes,
            w.segments.position, w.is_max, w.first, c.out<float>(0));
}

void run_table(const Call& c) {
  const auto& s = c.state<Scatter>();
  if (c.out_numel(0) == 0) return;
  cuda::check(
      cudaMemsetAsync(c.out<float>(0), 0, static_cast<size_t>(c.out_numel(0)) * sizeof(float), cuda::stream_of(c)),
      c.spec->op->name);
  if (s.plan.n == 0 || s.bags.bags == 0) return;
  const Work w(s, c.scratch);
  cuda::sort_occurrences(c, s.plan, w.rest, w.segments);
  const Segments segments{
      w.segments.unique_rows, w.segments.starts, w.segments.count,           w.segments.bag,
      w.segments.coef,        c.in<float>(0),    static_cast<int>(s.plan.n), static_cast<int>(s.bags.bags),
      static_cast<int>(s.dim)};
  if (s.bags.any_max) return put_with_max(c, s, segments, w);
  const LongSums sums = cuda::sum_long_segments(c, segments, w.rest);
  cuda::visit_pack(s.dim, [&]<int V>() {
    const RowLanes lanes(s.dim, V);
    cuda::run(c, put_rows<V>, lanes.grid(s.plan.n, kThreads), kThreads, 0, segments, lanes, sums, c.out<float>(0));
  });
}

// ---- weights

template <int V>
__global__ void __launch_bounds__(kThreads)
    weights_of_bags(const __grid_constant__ BagTable t, RowLanes lanes, BagData<float> in, const float* dy,
                    const float* table, float* out) {
  const BagOfLanes at(t, lanes.bits);
  if (!at.exists) return;  // with its whole group
  const int64_t from = in.begin(at.bag), to = in.end(at.bag);
  const unsigned mask = lanes.mask();
  int valid = 1;
  if (t.pool[at.f] == BagSpec::Mean) {
    valid = 0;
    for (int64_t k = from; k < to; ++k) valid += t.row(at.f, in.ids[k]) >= 0;
    valid = valid > 1 ? valid : 1;
  }
  const float* const g = dy + at.bag * lanes.dim;
  for (int64_t k = from; k < to; ++k) {
    const int64_t row = t.row(at.f, in.ids[k]);
    float sum = 0;
    if (row >= 0)
      for (int j = lanes.lane() * V; j < lanes.dim; j += V << lanes.bits) {
        const Pack<V> a = cuda::load_vector<V>(g + j), b = cuda::load_vector<V>(table + row * lanes.dim + j);
        for (int q = 0; q < V; ++q) sum += a.v[q] * b.v[q];
      }
    for (int distance = lanes.lanes() / 2; distance > 0; distance /= 2) sum += __shfl_xor_sync(mask, sum, distance);
    if (lanes.lane() == 0) out[k] = sum / static_cast<float>(valid);
  }
}

struct Weights {
  BagSpec bags;
  int64_t dim;
};
void prepare_weights(const NodeSpec& n, Prepare& p) {
  p.state<Weights>(read_bags(n.attrs, "", n.in[2].shape, offsets_of(n, 2)), n.in[1].shape[1]);
}
void run_weights(const Call& c) {
  const auto& s = c.state<Weights>();
  if (c.out_numel(0) == 0) return;
  if (s.bags.has_offsets)  // positions that no bag covers have no gradient
    cuda::check(
        cudaMemsetAsync(c.out<float>(0), 0, static_cast<size_t>(c.out_numel(0)) * sizeof(float), cuda::stream_of(c)),
        c.spec->op->name);
  const BagData<float> in{c.in<int64_t>(2), s.bags.has_offsets ? c.in<int64_t>(3) : nullptr, nullptr, s.bags.capacity};
  cuda::visit_pack(s.dim, [&]<int V>() {
    const RowLanes lanes(s.dim, V);
    cuda::each_bag_table(s.bags, [&](const BagTable& t) {
      cuda::run(c, weights_of_bags<V>, BagOfLanes::grid(t, lanes.bits, kThreads), kThreads, 0, t, lanes, in,
                c.in<float>(0), c.in<float>(1), c.out<float>(0));
    });
  });
}

}  // namespace

void register_embedding_bag_grad_cuda(Registry& r) {
  r.add_kernel("embedding_bag_grad", {.name = "sorted_rows",
                                      .device = Device::CUDA,
                                      .reject = cuda::reject_bags,
                                      .prepare = prepare_table,
                                      .run = run_table});
  r.add_kernel("embedding_bag_weights_grad", {.name = "lane_groups",
                                              .device = Device::CUDA,
                                              .reject = cuda::reject_bags,
                                              .prepare = prepare_weights,
                                              .run = run_weights});
}

}  // namespace winnow
