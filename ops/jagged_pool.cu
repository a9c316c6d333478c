// jagged_pool and its gradient on CUDA devices. Bound by memory.
#include "core/cuda/kernel.h"
#include "ops/detail/jagged_rows.h"
#include "ops/detail/pooling.h"
#include "ops/detail/row_lanes.h"
#include "ops/jagged.h"

namespace winnow {
namespace {

using namespace detail;

constexpr unsigned kMostThreads = 256;

__device__ float combine(Pooling mode, float a, float b) {
  return mode == Pooling::Max ? math::max(b, a) : a + b;  // of equal ones the first
}
__device__ float4 combine(Pooling mode, float4 a, float4 b) {
  return make_float4(combine(mode, a.x, b.x), combine(mode, a.y, b.y), combine(mode, a.z, b.z),
                     combine(mode, a.w, b.w));
}
__device__ float scaled(float a, float s) { return a * s; }
__device__ float4 scaled(float4 a, float s) { return make_float4(a.x * s, a.y * s, a.z * s, a.w * s); }

// y [bags, width]: block (bag, columns); `lanes` columns side by side, the other threads take rows in turn and add up
// as a tree.
template <class V>
__global__ void __launch_bounds__(kMostThreads)
    pool(Pooling mode, const V* values, const int64_t* offsets, int64_t capacity, int64_t width, unsigned lanes, V* y) {
  WN_SHARED(V, parts, [kMostThreads]);
  const unsigned me = threadIdx.x, lane = me % lanes, turn = me / lanes, turns = blockDim.x / lanes;
  const int64_t bag = blockIdx.x, column = int64_t{blockIdx.y} * lanes + lane;
  const RowRange rows = rows_of_bag(offsets, bag, capacity);
  V sum{};
  const int64_t first = rows.begin + turn;
  if (column < width && first < rows.end) {
    const V* at = values + first * width + column;
    sum = *at;
#pragma unroll 4
    for (int64_t row = first + turns; row < rows.end; row += turns) sum = combine(mode, sum, *(at += turns * width));
  }
  const int64_t length = rows.end - rows.begin;
  const unsigned filled = length < turns ? static_cast<unsigned>(length) : turns;  // turns that have a sum
  parts[me] = sum;
  for (unsigned half = turns / 2; half > 0; half /= 2) {
    __syncthreads();
    if (turn < half && turn + half < filled) parts[me] = combine(mode, parts[me], parts[me + half * lanes]);
  }
  if (turn != 0 || column >= width) return;
  y[bag * width + column] =
      mode == Pooling::Mean && length > 0 ? scaled(parts[me], 1.0f / static_cast<float>(length)) : parts[me];
}

// Whether value, of `row`, is the first of its bag that is as large as the largest.
__device__ bool takes_gradient(const float* values, int64_t begin, int64_t row, int64_t width, int64_t column,
                               float largest) {
  const auto is_largest = [&](int64_t r) {
    const float v = values[r * width + column];
    return v == largest || v != v;
  };
  if (!is_largest(row)) return false;
  for (int64_t r = begin; r < row; ++r)
    if (is_largest(r)) return false;
  return true;
}

struct PoolGradient {
  const float *dy, *values, *y;
  float* dvalues;
  int64_t width;  // elements of a row
  Pooling mode;
};
__device__ float gradient(const PoolGradient& g, int64_t bag, int64_t begin, int64_t row, int64_t column, float share,
                          const float*) {
  const float dy = g.dy[bag * g.width + column];
  if (g.mode != Pooling::Max) return share * dy;
  return takes_gradient(g.values, begin, row, g.width, column, g.y[bag * g.width + column]) ? dy : 0.0f;
}
__device__ float4 gradient(const PoolGradient& g, int64_t bag, int64_t begin, int64_t row, int64_t column, float share,
                           const float4*) {
  if (g.mode != Pooling::Max) return scaled(reinterpret_cast<const float4*>(g.dy + bag * g.width)[column], share);
  const auto at = [&](int64_t c) { return gradient(g, bag, begin, row, 4 * column + c, share, g.dy); };
  return make_float4(at(0), at(1), at(2), at(3));
}

// dvalues [capacity, width]: some lanes a row, which find its bag by a search over offsets.
template <class V>
__global__ void __launch_bounds__(256, 4) pool_gradient(PoolGradient g, const int64_t* offsets, int64_t bags,
                                                        int64_t capacity, int64_t width, unsigned lanes) {
  const unsigned lane = threadIdx.x % lanes, rows_of_block = blockDim.x / lanes;
  V* const dvalues = reinterpret_cast<V*>(g.dvalues);
  for (int64_t row = int64_t{blockIdx.x} * rows_of_block + threadIdx.x / lanes; row < capacity;
       row += int64_t{gridDim.x} * rows_of_block) {
    BagOfRow walk(offsets, bags, row);
    const bool live = walk.at(row);
    float share = 1;
    if (live && g.mode == Pooling::Mean) {
      const RowRange rows = rows_of_bag(offsets, walk.bag(), capacity);
      share = 1.0f / static_cast<float>(rows.end - rows.begin);
    }
    for (int64_t i = lane; i < width; i += lanes)
      dvalues[row * width + i] =
          live ? gradient(g, walk.bag(), walk.begin(), row, i, share, static_cast<const V*>(nullptr)) : V{};
  }
}

struct State {
  Pooling mode;
};
void prepare(const NodeSpec& node, Prepare& p) { p.state<State>(State{pooling_of(node.attrs)}); }

// f(rows as so many elements, one such element)
template <class F>
void visit_elements(int64_t width, F&& f) {
  width % 4 == 0 ? f(width / 4, float4()) : f(width, float());
}

void run(const Call& c) {
  const Shape& values = c.in_spec(0).shape;
  const int64_t bags = c.in_numel(1) - 1, capacity = values[0];
  if (c.out_numel(0) == 0) return;
  visit_elements(values.inner(0), [&]<class V>(int64_t width, V) {
    const unsigned lanes = lanes_of_row(width);
    // at least two rows a thread of a bag of average length
    unsigned threads = std::max(32u, lanes);
    while (threads < kMostThreads && threads / lanes * 2 * bags < capacity) threads *= 2;
    const dim3 blocks(static_cast<unsigned>(bags), cuda::grid(width, lanes).x);
    cuda::run(c, pool<V>, blocks, threads, 0, c.state<State>().mode, c.in<V>(0), c.in<int64_t>(1), capacity, width,
              lanes, c.out<V>(0));
  });
}
void run_gradient(const Call& c) {
  const Shape& values = c.in_spec(1).shape;
  const int64_t bags = c.in_numel(2) - 1, capacity = values[0];
  if (c.out_numel(0) == 0) return;
  const PoolGradient g = {c.in<float>(0),  c.in<float>(1),  c.in<float>(3),
                          c.out<float>(0), values.inner(0), c.state<State>().mode};
  visit_elements(g.width, [&]<class V>(int64_t width, V) {
    const unsigned lanes = lanes_of_row(width);
    cuda::run(c, pool_gradient<V>, cuda::grid(capacity * lanes, 256), 256, 0, g, c.in<int64_t>(2), bags, capacity,
              width, lanes);
  });
}

}  // namespace

void register_jagged_pool_cuda(Registry& r) {
  r.add_kernel(
      "jagged_pool",
      {.name = "bags", .device = Device::CUDA, .reject = cuda::reject_all_but_f32, .prepare = prepare, .run = run});
  r.add_kernel("jagged_pool_grad", {.name = "rows",
                                    .device = Device::CUDA,
                                    .reject = cuda::reject_all_but_f32,
                                    .prepare = prepare,
                                    .run = run_gradient});
}

}  // namespace winnow
