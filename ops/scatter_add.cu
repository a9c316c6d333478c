// scatter_add: positions sorted by row, then sums over the runs of one row. The sorted positions are cut into tiles,
// one group of lanes each, so that a row with most of the positions does not wait for one warp; what a run leaves in
// several tiles is added in their order. Bound by reading x once and by writing y; few indices by their launches: a
// copy or memset, those of core/cuda/radix_sort.h (1 for up to 4,096 indices, 4 for 131,072 of up to 2^20 rows) and
// two.
#include <bit>

#include "core/cuda/radix_sort.h"
#include "core/cuda/vector.h"
#include "ops/detail/row_index.h"

namespace winnow {
namespace {

using namespace detail;

constexpr unsigned kThreads = 256, kBatch = 4;

// Pairs (row, position), the row `rows` where the index is outside.
struct RowPairs {
  struct Shared {};
  const int64_t* indices;
  int64_t rows;
  __device__ void stage(Shared&) const {}
  __device__ uint2 pair(const Shared&, unsigned i) const {
    const int64_t row = indices[i];
    return make_uint2(static_cast<unsigned>(within(row, rows) ? row : rows), i);
  }
};

struct Runs {
  const uint2* pairs;  // sorted
  unsigned n, rows, tile, tiles;
  int64_t width;
  unsigned lane_bits;  // 2^lane_bits threads for a tile
  float* partial;      // [tiles, 2, width]: of a run that began in an earlier tile; of one that goes on in the next

  __device__ unsigned tile_of_thread() const {
    return static_cast<unsigned>((uint64_t{blockIdx.x} * kThreads + threadIdx.x) >> lane_bits);
  }
  template <int N>
  __device__ int64_t column() const {
    return ((int64_t{blockIdx.y} << lane_bits) + (threadIdx.x & ((1u << lane_bits) - 1))) * N;
  }
  __device__ float* part(unsigned of_tile, unsigned which) const {
    return partial + (int64_t{of_tile} * 2 + which) * width;
  }
};

template <int N>
__device__ cuda::Vector<float, N> sum_of(cuda::Vector<float, N> a, const cuda::Vector<float, N>& b) {
  for (int j = 0; j < N; ++j) a.v[j] += b.v[j];
  return a;
}
template <int N>
__device__ void add_to(float* y, const cuda::Vector<float, N>& sum) {
  cuda::store_vector(y, sum_of(cuda::load_vector<N>(y), sum));
}

// Adds the runs that lie in one tile to y and leaves the parts of the others.
template <int N>
__global__ void __launch_bounds__(kThreads) add_runs(const __grid_constant__ Runs r, const float* x, float* y) {
  const unsigned tile = r.tile_of_thread(), first = tile * r.tile;
  const int64_t column = r.column<N>();
  if (tile >= r.tiles || column >= r.width) return;
  const unsigned last = r.n - first < r.tile ? r.n : first + r.tile;
  cuda::Vector<float, N> sum{};
  unsigned row = r.rows, begin = first;
  const auto finish = [&](unsigned end) {
    if (row >= r.rows) return;
    const bool began_before = begin == first && first > 0 && r.pairs[first - 1].x == row;
    const bool goes_on = end == last && last < r.n && r.pairs[last].x == row;
    if (began_before || goes_on)
      cuda::store_vector(r.part(tile, began_before ? 0 : 1) + column, sum);
    else
      add_to<N>(y + row * r.width + column, sum);
  };
  for (unsigned i = first; i < last; i += kBatch) {
    unsigned rows[kBatch];
    cuda::Vector<float, N> values[kBatch];  // in flight together
    for (unsigned b = 0; b < kBatch; ++b) {
      const uint2 pair = i + b < last ? r.pairs[i + b] : make_uint2(r.rows, 0);
      rows[b] = pair.x;
      if (pair.x < r.rows) values[b] = cuda::load_vector<N>(x + pair.y * r.width + column);
    }
    for (unsigned b = 0; b < kBatch; ++b) {
      if (rows[b] != row) {
        finish(i + b);
        row = rows[b], begin = i + b, sum = {};
      }
      if (row < r.rows) sum = sum_of(sum, values[b]);
    }
  }
  finish(last);
}

// The runs that begin in one tile and end in another.
template <int N>
__global__ void __launch_bounds__(kThreads) join_runs(const __grid_constant__ Runs r, float* y) {
  const unsigned tile = r.tile_of_thread(), first = tile * r.tile;
  const int64_t column = r.column<N>();
  if (tile + 1 >= r.tiles || column >= r.width) return;
  const unsigned row = r.pairs[first + r.tile - 1].x;
  if (row >= r.rows || r.pairs[first + r.tile].x != row || (first > 0 && r.pairs[first - 1].x == row)) return;
  unsigned end = tile + 1, most = r.tiles - 1;  // the tile in which the run ends
  while (end < most) {
    const unsigned middle = (end + most) / 2;
    if (r.pairs[(middle + 1) * r.tile].x == row)
      end = middle + 1;
    else
      most = middle;
  }
  auto sum = cuda::load_vector<N>(r.part(tile, 1) + column);
#pragma unroll 8
  for (unsigned t = tile + 1; t <= end; ++t) sum = sum_of(sum, cuda::load_vector<N>(r.part(t, 0) + column));
  add_to<N>(y + row * r.width + column, sum);
}

// Scratch: pairs twice, the sort's own, the parts.
struct Plan {
  int64_t n, rows, width;
  unsigned tile, tiles;
  cuda::RadixSort sort;

  explicit Plan(const NodeSpec& node)
      : n(node.in[1].shape.numel()),
        rows(node.out[0].shape[0]),
        width(node.out[0].shape.inner(0)),
        tile(n < 65536 ? 32 : 64),
        tiles(static_cast<unsigned>((n + tile - 1) / tile)),
        sort(n, static_cast<int>(std::bit_width(static_cast<uint64_t>(rows)))) {}
  static size_t padded(size_t bytes) { return (bytes + 255) / 256 * 256; }
  size_t pair_bytes() const { return padded(static_cast<size_t>(n) * sizeof(uint2)); }
  size_t sort_bytes() const { return padded(sort.scratch_bytes()); }
  size_t scratch_bytes() const {
    return 2 * pair_bytes() + sort_bytes() + size_t{tiles} * 2 * static_cast<size_t>(width) * sizeof(float);
  }
};

const char* reject(const NodeSpec& node, const DeviceInfo& device) {
  if (node.in[1].shape.numel() >= 0x7fffffff) return "fewer than 2^31 - 1 indices";
  if (node.out[0].shape[0] >= 0xffffffff) return "fewer than 2^32 - 1 rows";
  return cuda::reject_all_but_f32(node, device);
}
void prepare(const NodeSpec& node, Prepare& p) { p.scratch(p.state<Plan>(node).scratch_bytes()); }

template <int N>
void add_rows(const Call& c, const Plan& p, Runs runs) {
  while (runs.lane_bits < 5 && (int64_t{N} << runs.lane_bits) < p.width) ++runs.lane_bits;
  const int64_t columns = int64_t{N} << runs.lane_bits;
  dim3 blocks = cuda::grid(int64_t{p.tiles} << runs.lane_bits, kThreads, 0x7fffffff);
  blocks.y = static_cast<unsigned>((p.width + columns - 1) / columns);
  cuda::run(c, add_runs<N>, blocks, kThreads, 0, runs, c.in<float>(0), c.out<float>(0));
  if (p.tiles > 1) cuda::run(c, join_runs<N>, blocks, kThreads, 0, runs, c.out<float>(0));
}
void run(const Call& c) {
  const auto& p = c.state<Plan>();
  const auto bytes = static_cast<size_t>(c.out_numel(0)) * sizeof(float);
  if (bytes == 0) return;
  float* const y = c.out<float>(0);
  const float* const base = c.spec->in.size() > 2 ? c.in<float>(2) : nullptr;
  const cudaStream_t stream = cuda::stream_of(c);
  if (base == nullptr)
    cuda::check(cudaMemsetAsync(y, 0, bytes, stream), c.spec->op->name);
  else if (base != y)
    cuda::check(cudaMemcpyAsync(y, base, bytes, cudaMemcpyDeviceToDevice, stream), c.spec->op->name);
  if (p.n == 0) return;
  char* const scratch = c.scratch_as<char>();
  auto* const pairs = reinterpret_cast<uint2*>(scratch);
  auto* const other = reinterpret_cast<uint2*>(scratch + p.pair_bytes());
  char* const rest = scratch + 2 * p.pair_bytes();
  const auto n = static_cast<unsigned>(p.n);
  const Runs runs{.pairs = p.sort.run(c, RowPairs{c.in<int64_t>(1), p.rows}, pairs, other, rest),
                  .n = n,
                  .rows = static_cast<unsigned>(p.rows),
                  .tile = p.tile,
                  .tiles = p.tiles,
                  .width = p.width,
                  .lane_bits = 0,
                  .partial = reinterpret_cast<float*>(rest + p.sort_bytes())};
  p.width % 4 == 0 ? add_rows<4>(c, p, runs) : add_rows<1>(c, p, runs);
}

}  // namespace

void register_scatter_add_cuda(Registry& r) {
  r.add_kernel("scatter_add",
               {.name = "sorted", .device = Device::CUDA, .reject = reject, .prepare = prepare, .run = run});
}

}  // namespace winnow
