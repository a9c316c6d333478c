// Sums of the occurrences of each unique row, and their sum of squares. Bound by memory: rows of dy, scattered.
#include "core/cuda/reduce.h"
#include "ops/detail/device_segments.h"

namespace winnow {
namespace {

using cuda::LongSums, cuda::Pack, cuda::RowLanes, cuda::Segments;

constexpr unsigned kThreads = 256;
constexpr int64_t kMostBlocks = 1024;  // of the squares: their partial sums are added by one block

template <int V>
__global__ void __launch_bounds__(kThreads) sum_rows(Segments s, RowLanes lanes, LongSums sums, float* out) {
  const int64_t k = lanes.row();
  if (k >= s.positions) return;
  const bool used = k < s.count();
  for (int j = lanes.lane() * V; j < s.dim; j += V << lanes.bits)
    cuda::store_vector(out + k * s.dim + j, used ? s.sum<V>(static_cast<int>(k), j, sums) : Pack<V>{});
}

template <int V>
__global__ void __launch_bounds__(kThreads) square_rows(Segments s, RowLanes lanes, LongSums sums, double* parts) {
  WN_SHARED(double, shared, [33]);
  const int64_t step = int64_t{gridDim.x} * kThreads >> lanes.bits, count = s.count();
  double total = 0;
  for (int64_t k = lanes.row(); k < count; k += step)
    for (int j = lanes.lane() * V; j < s.dim; j += V << lanes.bits) {
      const Pack<V> g = s.sum<V>(static_cast<int>(k), j, sums);
      for (const float v : g.v) total += static_cast<double>(v) * static_cast<double>(v);
    }
  total = cuda::block_reduce(total, cuda::Sum(), shared);
  if (threadIdx.x == 0) parts[blockIdx.x] = total;
}
__global__ void __launch_bounds__(kThreads) add_parts(const double* parts, unsigned n, float* out) {
  WN_SHARED(double, shared, [33]);
  double total = 0;
  for (unsigned i = threadIdx.x; i < n; i += kThreads) total += parts[i];
  total = cuda::block_reduce(total, cuda::Sum(), shared);
  if (threadIdx.x == 0) *out = static_cast<float>(total);
}

void prepare_sum(const NodeSpec& n, Prepare& p) {
  p.scratch(cuda::long_sums_bytes(n.in[0].shape.numel(), n.in[5].shape[1]));
}
void run_sum(const Call& c) {
  const Segments s = cuda::segments_of(c, 0);
  if (c.out_numel(0) == 0) return;
  const LongSums sums = cuda::sum_long_segments(c, s, c.scratch);
  cuda::visit_pack(s.dim, [&]<int V>() {
    const RowLanes lanes(s.dim, V);
    cuda::run(c, sum_rows<V>, lanes.grid(s.positions, kThreads), kThreads, 0, s, lanes, sums, c.out<float>(0));
  });
}

void prepare_squares(const NodeSpec& n, Prepare& p) {
  p.scratch(kMostBlocks * sizeof(double) + cuda::long_sums_bytes(n.in[0].shape.numel(), n.in[5].shape[1]));
}
void run_squares(const Call& c) {
  const Segments s = cuda::segments_of(c, 0);
  auto* const parts = c.scratch_as<double>();
  const LongSums sums = cuda::sum_long_segments(c, s, parts + kMostBlocks);
  cuda::visit_pack(s.dim, [&]<int V>() {
    const RowLanes lanes(s.dim, V);
    const dim3 rows = lanes.grid(s.positions, kThreads), grid(std::min<unsigned>(rows.x, kMostBlocks));
    cuda::run(c, square_rows<V>, grid, kThreads, 0, s, lanes, sums, parts);
    cuda::run(c, add_parts, 1, kThreads, 0, parts, grid.x, c.out<float>(0));
  });
}

}  // namespace

void register_segment_sum_cuda(Registry& r) {
  r.add_kernel("segment_sum", {.name = "segments",
                               .device = Device::CUDA,
                               .reject = cuda::reject_segments,
                               .prepare = prepare_sum,
                               .run = run_sum});
  r.add_kernel("segment_sqnorm", {.name = "segments",
                                  .device = Device::CUDA,
                                  .reject = cuda::reject_segments,
                                  .prepare = prepare_squares,
                                  .run = run_squares});
}

}  // namespace winnow
