// Cross layers: v1 by a warp a row, which it reads twice, the second time out of the cache; v2 element by element.
// Bound by memory.
#include "core/cuda/column_sums.h"
#include "core/cuda/packs.h"
#include "core/cuda/reduce.h"
#include "core/cuda/vectors.h"

namespace winnow {
namespace {

using cuda::Pack;

constexpr unsigned kThreads = 256;

// Columns of a row for the lanes of a warp, V at a time.
template <int V, class F>
__device__ void each_column(int n, F&& f) {
#pragma unroll 4
  for (int j = static_cast<int>(threadIdx.x % 32) * V; j < n; j += 32 * V) f(j);
}
__device__ int64_t row_of_warp() { return (int64_t{blockIdx.x} * kThreads + threadIdx.x) / 32; }

// Sum over the columns of a * b.
template <int V>
__device__ float dot(const float* a, const float* b, int n) {
  float sum = 0;
  each_column<V>(n, [&](int j) {
    const Pack<V> x = cuda::load_vector<V>(a + j), y = cuda::load_vector<V>(b + j);
    for (int q = 0; q < V; ++q) sum += x.v[q] * y.v[q];
  });
  return cuda::warp_reduce(sum, cuda::Sum());
}

template <int V>
__global__ void __launch_bounds__(kThreads)
    cross_rows(int64_t rows, int n, const float* __restrict__ x0, const float* __restrict__ x,
               const float* __restrict__ w, const float* __restrict__ bias, float* __restrict__ y) {
  const int64_t row = row_of_warp(), first = row * n;
  if (row >= rows) return;  // the whole warp
  const float s = dot<V>(x + first, w, n);
  each_column<V>(n, [&](int j) {
    const Pack<V> a = cuda::load_vector<V>(x0 + first + j), b = cuda::load_vector<V>(bias + j);
    Pack<V> out = cuda::load_vector<V>(x + first + j);
    for (int q = 0; q < V; ++q) out.v[q] += a.v[q] * s + b.v[q];
    cuda::store_vector(y + first + j, out);
  });
}

// dx0 and dx; factors [rows]: dy . x0, by which the row's x enters dw.
template <int V>
__global__ void __launch_bounds__(kThreads)
    cross_rows_gradient(int64_t rows, int n, const float* __restrict__ dy, const float* __restrict__ x0,
                        const float* __restrict__ x, const float* __restrict__ w, float* __restrict__ dx0,
                        float* __restrict__ dx, float* __restrict__ factors) {
  const int64_t row = row_of_warp(), first = row * n;
  if (row >= rows) return;
  const float s = dot<V>(x + first, w, n), t = dot<V>(dy + first, x0 + first, n);
  if (threadIdx.x % 32 == 0) factors[row] = t;
  each_column<V>(n, [&](int j) {
    const Pack<V> g = cuda::load_vector<V>(dy + first + j), weight = cuda::load_vector<V>(w + j);
    Pack<V> a, b;
    for (int q = 0; q < V; ++q) {
      a.v[q] = g.v[q] * s;
      b.v[q] = g.v[q] + t * weight.v[q];
    }
    cuda::store_vector(dx0 + first + j, a);
    cuda::store_vector(dx + first + j, b);
  });
}

struct Weighted {
  const float *x, *factors;
  int64_t n;
  __device__ float operator()(int64_t row, int64_t column) const { return factors[row] * x[row * n + column]; }
};
struct Element {
  const float* x;
  int64_t n;
  __device__ float operator()(int64_t row, int64_t column) const { return x[row * n + column]; }
};

const char* reject(const NodeSpec& node, const DeviceInfo& device) {
  return node.in[0].shape.back() >= 1 << 30 ? "rows of 2^30 elements or more" : cuda::reject_all_but_f32(node, device);
}

void run_v1(const Call& c) {
  const Shape& s = c.in_spec(0).shape;
  if (s.numel() == 0) return;
  cuda::visit_pack(s[1], [&]<int V>() {
    cuda::run(c, cross_rows<V>, cuda::grid(s[0] * 32, kThreads, 0x7fffffff), kThreads, 0, s[0], static_cast<int>(s[1]),
              c.in<float>(0), c.in<float>(1), c.in<float>(2), c.in<float>(3), c.out<float>(0));
  });
}

// Scratch: factors, partial sums of the columns.
size_t factor_bytes(int64_t rows) { return static_cast<size_t>((rows + 63) / 64 * 64) * sizeof(float); }
void prepare_v1_grad(const NodeSpec& n, Prepare& p) {
  const Shape& s = n.in[0].shape;
  p.scratch(factor_bytes(s[0]) + cuda::column_sums_bytes(s[0], s[1]));
}
void run_v1_grad(const Call& c) {
  const Shape& s = c.in_spec(0).shape;
  const float *const dy = c.in<float>(0), *const x = c.in<float>(2);
  auto* const factors = c.scratch_as<float>();
  auto* const parts = reinterpret_cast<float*>(c.scratch_as<char>() + factor_bytes(s[0]));
  if (s.numel() > 0)
    cuda::visit_pack(s[1], [&]<int V>() {
      cuda::run(c, cross_rows_gradient<V>, cuda::grid(s[0] * 32, kThreads, 0x7fffffff), kThreads, 0, s[0],
                static_cast<int>(s[1]), dy, c.in<float>(1), x, c.in<float>(3), c.out<float>(0), c.out<float>(1),
                factors);
    });
  cuda::column_sums(c, s[0], s[1], c.out<float>(2), parts, Weighted{x, factors, s[1]});
  cuda::column_sums(c, s[0], s[1], c.out<float>(3), parts, Element{dy, s[1]});
}

__global__ void __launch_bounds__(kThreads)
    cross_elements(int64_t n, const float* x0, const float* u, const float* x, float* y) {
  cuda::each_vector(
      n,
      [&](auto at) {
        at.store(y,
                 cuda::map([](float a, float b, float c) { return a * b + c; }, at.load(x0), at.load(u), at.load(x)));
      },
      x0, u, x, y);
}
__global__ void __launch_bounds__(kThreads)
    cross_elements_gradient(int64_t n, const float* dy, const float* x0, const float* u, float* dx0, float* du) {
  cuda::each_vector(
      n,
      [&](auto at) {
        const auto times = [](float a, float b) { return a * b; };
        const auto g = at.load(dy);
        const auto to_x0 = cuda::map(times, g, at.load(u)), to_u = cuda::map(times, g, at.load(x0));
        at.store(dx0, to_x0);
        at.store(du, to_u);
      },
      dy, x0, u, dx0, du);
}

void run_v2(const Call& c) {
  const int64_t n = c.out_numel(0);
  if (n == 0) return;
  cuda::run(c, cross_elements, cuda::vector_grid(n, kThreads), kThreads, 0, n, c.in<float>(0), c.in<float>(1),
            c.in<float>(2), c.out<float>(0));
}
void run_v2_grad(const Call& c) {
  const int64_t n = c.out_numel(0);
  if (n == 0) return;
  cuda::run(c, cross_elements_gradient, cuda::vector_grid(n, kThreads), kThreads, 0, n, c.in<float>(0), c.in<float>(1),
            c.in<float>(2), c.out<float>(0), c.out<float>(1));
}

}  // namespace

void register_cross_cuda(Registry& r) {
  r.add_kernel("cross_v1", {.name = "warp_rows", .device = Device::CUDA, .reject = reject, .run = run_v1});
  r.add_kernel(
      "cross_v1_grad",
      {.name = "warp_rows", .device = Device::CUDA, .reject = reject, .prepare = prepare_v1_grad, .run = run_v1_grad});
  r.add_kernel("cross_v2",
               {.name = "vectors", .device = Device::CUDA, .reject = cuda::reject_all_but_f32, .run = run_v2});
  r.add_kernel("cross_v2_grad",
               {.name = "vectors", .device = Device::CUDA, .reject = cuda::reject_all_but_f32, .run = run_v2_grad});
}

}  // namespace winnow
