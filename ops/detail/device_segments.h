// Sums over segments of sorted occurrences, for .cu files. Short segments are summed by the lanes of their row; the
// others first by blocks, a tile of occurrences at a time, so that a row of very many occurrences keeps no lane
// waiting. The order of the additions depends on the segments only.
//
//   prepare: p.scratch(cuda::long_sums_bytes(n, dim));
//   run:     cuda::LongSums sums = cuda::sum_long_segments(c, segments, scratch);
//   kernel:  Pack<V> g = segments.sum<V>(k, column, sums);
#pragma once
#include "core/cuda/kernel.h"
#include "core/cuda/packs.h"
#include "core/cuda/reduce.h"

namespace winnow::cuda {

constexpr int kLongSegment = 32;  // occurrences that a row's own lanes still add
constexpr int kLongTile = 512;    // occurrences of one block
constexpr unsigned kLongThreads = 256, kLongWarps = kLongThreads / 32;
constexpr int kLongColumns = 128;                        // most columns of one block
constexpr int kMostLong = kLongTile / kLongSegment + 2;  // long segments that meet a tile
static_assert(kLongTile % kLongSegment == 0);

// Part sums of the long segments. A segment's first tile is kept by where it starts, as no two long ones start within
// kLongSegment occurrences; the tiles that it enters from the left by tile.
struct LongSums {
  float *heads, *tails;
  __device__ float* head(int start, int dim) const { return heads + int64_t{start / kLongSegment} * dim; }
  __device__ float* tail(int tile, int dim) const { return tails + int64_t{tile} * dim; }
};

// What the arrays say is checked where it is used: a bag outside dy is skipped, a bad start gives an empty segment.
struct Segments {
  const int64_t* rows;
  const int32_t* starts;
  const int64_t* unique;
  const int32_t* bag;
  const float *coef, *dy;
  int positions, bags, dim;

  __device__ int count() const {
    const int64_t n = *unique;
    return n < 0 ? 0 : n < positions ? static_cast<int>(n) : positions;
  }
  __device__ int start(int k) const {
    const int s = starts[k];
    return s < 0 ? 0 : s < positions ? s : positions;
  }
  // sum + occurrences begin, begin + step, .. < end of V columns
  template <int V, int kInFlight>
  __device__ Pack<V> add(int begin, int end, int step, int column, Pack<V> sum) const {
    for (int i = begin; i < end; i += step * kInFlight) {
      Pack<V> x[kInFlight];
      float weight[kInFlight];
      bool present[kInFlight];
#pragma unroll
      for (int u = 0; u < kInFlight; ++u) {
        const int at = i + u * step;
        const int b = at < end ? bag[at] : -1;
        present[u] = static_cast<unsigned>(b) < static_cast<unsigned>(bags);
        x[u] = present[u] ? load_vector<V>(dy + int64_t{b} * dim + column) : Pack<V>{};
        weight[u] = present[u] ? coef[at] : 0.0f;
      }
#pragma unroll
      for (int u = 0; u < kInFlight; ++u)
        if (present[u])
          for (int q = 0; q < V; ++q) sum.v[q] += weight[u] * x[u].v[q];
    }
    return sum;
  }
  // V columns of the gradient of unique row k.
  template <int V>
  __device__ Pack<V> sum(int k, int column, const LongSums& parts) const {
    const int begin = start(k), end = start(k + 1);
    if (end - begin <= kLongSegment) return add<V, 4>(begin, end, 1, column, Pack<V>{});
    Pack<V> sum = load_vector<V>(parts.head(begin, dim) + column);
    const int last = (end - 1) / kLongTile;
#pragma unroll 4
    for (int tile = begin / kLongTile + 1; tile <= last; ++tile) {
      const Pack<V> x = load_vector<V>(parts.tail(tile, dim) + column);
      for (int q = 0; q < V; ++q) sum.v[q] += x.v[q];
    }
    return sum;
  }
};

// The long segments that meet [begin, end), in any order: list[0 .. *found). By the whole block.
template <class Unused = void>
__device__ void find_long_segments(const Segments& s, int begin, int end, int* list, int* found) {
  const int count = s.count();
  if (threadIdx.x == 0) *found = 0;
  int low = 0, high = count;  // the last segment that starts at begin or before is in [low, high)
  while (high - low > 1) {
    const int step = (high - low + static_cast<int>(kLongThreads)) / static_cast<int>(kLongThreads + 1);
    const int probe = low + (static_cast<int>(threadIdx.x) + 1) * step;
    const int before = __syncthreads_count(probe < high && s.start(probe) <= begin);
    low += before * step;
    high = low + step < high ? low + step : high;
  }
  __syncthreads();
  for (int first = low; first < count; first += static_cast<int>(kLongThreads)) {
    const int k = first + static_cast<int>(threadIdx.x);
    const int from = k < count ? s.start(k) : end;
    if (from < end) {
      const int to = s.start(k + 1);
      if (to > begin && to - from > kLongSegment)
        if (const int at = atomicAdd(found, 1); at < kMostLong) list[at] = k;
    }
    if (__syncthreads_and(from < end) == 0) break;
  }
  __syncthreads();
}

// Block: (a tile of occurrences, columns). Groups of lanes take every so-manieth occurrence; their sums are added in
// order.
template <int V>
__global__ void __launch_bounds__(kLongThreads) sum_long_tiles(Segments s, RowLanes lanes, LongSums out) {
  WN_SHARED(int, list, [kMostLong]);
  WN_SHARED(int, found, [1]);
  WN_SHARED(float, sums, [kLongWarps][kLongColumns]);
  const int begin = static_cast<int>(blockIdx.x) * kLongTile;
  const int end = s.positions - begin < kLongTile ? s.positions : begin + kLongTile;
  find_long_segments(s, begin, end, list, found);
  const int n = found[0] < kMostLong ? found[0] : kMostLong;
  const int width = V << lanes.bits, local = lanes.lane() * V, column = static_cast<int>(blockIdx.y) * width + local;
  const int group = static_cast<int>(threadIdx.x >> lanes.bits), groups = static_cast<int>(kLongThreads >> lanes.bits);
  for (int l = 0; l < n; ++l) {
    const int start = s.start(list[l]), stop = s.start(list[l] + 1);
    const int from = start > begin ? start : begin, to = stop < end ? stop : end;
    Pack<V> sum{};
    if (column < s.dim) sum = s.add<V, 4>(from + group, to, groups, column, sum);
    for (int distance = 16; distance >> lanes.bits > 0; distance /= 2)
      for (int q = 0; q < V; ++q) sum.v[q] += __shfl_xor_sync(kAllLanes, sum.v[q], distance);
    if (threadIdx.x % 32 >> lanes.bits == 0)
      for (int q = 0; q < V; ++q) sums[threadIdx.x / 32][local + q] = sum.v[q];
    __syncthreads();
    const int mine = static_cast<int>(threadIdx.x), to_column = static_cast<int>(blockIdx.y) * width + mine;
    if (mine < width && to_column < s.dim) {
      float all = 0;
      for (unsigned w = 0; w < kLongWarps; ++w) all += sums[w][mine];
      (start >= begin ? out.head(start, s.dim) : out.tail(static_cast<int>(blockIdx.x), s.dim))[to_column] = all;
    }
    __syncthreads();
  }
}

// Of an operator whose inputs `first`.. are unique_rows, starts, count, bag, coef, dy.
inline Segments segments_of(const Call& c, int first) {
  const Shape& dy = c.in_spec(first + 5).shape;
  return {c.in<int64_t>(first),
          c.in<int32_t>(first + 1),
          c.in<int64_t>(first + 2),
          c.in<int32_t>(first + 3),
          c.in<float>(first + 4),
          c.in<float>(first + 5),
          static_cast<int>(c.in_numel(first)),
          static_cast<int>(dy[0]),
          static_cast<int>(dy[1])};
}
inline const char* reject_segments(const NodeSpec& node, const DeviceInfo& device) {
  for (const TensorSpec& in : node.in)
    if (in.dtype == DType::I32 && in.shape.numel() > 0x7ffffff0) return "2^31 - 16 occurrences or more";
  return reject_all_but_f32(node, device);
}

inline size_t long_sums_bytes(int64_t positions, int64_t dim) {
  return static_cast<size_t>((positions / kLongSegment + 1 + positions / kLongTile + 1) * dim) * sizeof(float);
}
inline LongSums sum_long_segments(const Call& c, const Segments& s, void* scratch) {
  auto* const heads = static_cast<float*>(scratch);
  const LongSums out{heads, heads + int64_t{s.positions / kLongSegment + 1} * s.dim};
  if (s.positions > kLongSegment && s.dim > 0)
    visit_pack(s.dim, [&]<int V>() {
      const RowLanes lanes(s.dim, V);
      const int width = V << lanes.bits;
      const dim3 grid(static_cast<unsigned>((s.positions + kLongTile - 1) / kLongTile),
                      static_cast<unsigned>((s.dim + width - 1) / width));
      run(c, sum_long_tiles<V>, grid, kLongThreads, 0, s, lanes, out);
    });
  return out;
}

}  // namespace winnow::cuda
