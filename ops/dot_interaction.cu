// Pairwise dot products: blocks hold some samples in shared memory, a thread computes the pairs of four rows with four.
// Bound by memory: x and the pairs go through once. Samples that shared memory does not hold take a warp a row.
#include "core/cuda/kernel.h"
#include "core/cuda/reduce.h"

namespace winnow {
namespace {

constexpr unsigned kThreads = 256;
constexpr int64_t kSharedBytes = 48 << 10, kMostSamples = 8;

__device__ int64_t triangle(int64_t i) { return i * (i - 1) / 2; }  // first pair of row i

// Samples in shared memory: rows f to 4 t and columns from d on are zeros. Row i of a thread's four is t rows away from
// the next, and rows are an odd number of float4 long: neighbouring threads read from different banks.
struct Tiles {
  int f, d, t, pairs;
  int columns, stride, matrix_stride;  // in float4: of a row, and from row to row, of x and of the matrix of dy
  int samples = 0;                     // of a block; 0: they do not fit
  unsigned threads = kThreads;
  int64_t sample_floats;

  Tiles(const Shape& x, bool grad)
      : f(static_cast<int>(x[1])),
        d(static_cast<int>(x[2])),
        t((f + 3) / 4),
        pairs(0),
        columns((d + 3) / 4),
        stride(columns | 1),
        matrix_stride(t | 1) {
    const int64_t all_pairs = x[1] * (x[1] - 1) / 2, rows = 4 * int64_t{t};
    sample_floats = rows * 4 * stride + (grad ? rows * 4 * matrix_stride : (all_pairs + 3) / 4 * 4);
    if (x[1] * x[2] > kSharedBytes || sample_floats * 4 > kSharedBytes) return;
    pairs = static_cast<int>(all_pairs);
    const int64_t items = std::max<int64_t>(1, grad ? t * columns : t * t), room = kSharedBytes / (sample_floats * 4);
    samples = static_cast<int>(std::min({kMostSamples, std::max<int64_t>(1, kThreads / items), room}));
    const int64_t busy = std::clamp<int64_t>(samples * items, 64, kThreads);
    threads = static_cast<unsigned>((busy + 31) / 32 * 32);
  }
  size_t shared_bytes() const { return static_cast<size_t>(samples * sample_floats) * sizeof(float); }
  dim3 grid(int64_t batch) const { return dim3(static_cast<unsigned>((batch + samples - 1) / samples)); }
};

// x of n samples: [n, 4 t, stride].
__device__ void load_rows(const Tiles& s, int n, const float* x, float4* rows) {
  const bool vectors = s.d % 4 == 0;
  const int of_sample = 4 * s.t * s.columns;
  for (int i = static_cast<int>(threadIdx.x); i < n * of_sample; i += static_cast<int>(blockDim.x)) {
    const int row = i / s.columns, column = i % s.columns, sample = row / (4 * s.t), r = row % (4 * s.t);
    float4 v = make_float4(0, 0, 0, 0);
    if (r < s.f) {
      const float* const from = x + (sample * s.f + r) * s.d + 4 * column;
      const int left = s.d - 4 * column;
      if (vectors)
        v = *reinterpret_cast<const float4*>(from);
      else
        v = make_float4(from[0], left > 1 ? from[1] : 0, left > 2 ? from[2] : 0, left > 3 ? from[3] : 0);
    }
    rows[row * s.stride + column] = v;
  }
}

__device__ void multiply_add(float& sum, const float4& a, const float4& b) {
  sum += a.x * b.x;
  sum += a.y * b.y;
  sum += a.z * b.z;
  sum += a.w * b.w;
}
__device__ void multiply_add(float4& sum, float a, const float4& b) {
  sum.x += a * b.x;
  sum.y += a * b.y;
  sum.z += a * b.z;
  sum.w += a * b.w;
}

__global__ void __launch_bounds__(kThreads)
    dot_tiles(Tiles s, int64_t batch, const float* __restrict__ x, float* __restrict__ y) {
  WN_SHARED_DYN(float4, rows);
  float* const result = reinterpret_cast<float*>(rows + s.samples * 4 * s.t * s.stride);
  const int64_t first = int64_t{blockIdx.x} * s.samples;
  const int n = batch - first < s.samples ? static_cast<int>(batch - first) : s.samples;
  load_rows(s, n, x + first * s.f * s.d, rows);
  __syncthreads();
  const int tiles = s.t * s.t;
  for (int item = static_cast<int>(threadIdx.x); item < n * tiles; item += static_cast<int>(blockDim.x)) {
    const int sample = item / tiles, ti = item % tiles / s.t, tj = item % s.t;
    const float4* const of_sample = rows + sample * 4 * s.t * s.stride;
    float sum[4][4] = {};
    for (int column = 0; column < s.columns; ++column) {
      float4 a[4], b[4];
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        a[k] = of_sample[(ti + s.t * k) * s.stride + column];
        b[k] = of_sample[(tj + s.t * k) * s.stride + column];
      }
#pragma unroll
      for (int k = 0; k < 4; ++k)
#pragma unroll
        for (int l = 0; l <= k; ++l) multiply_add(sum[k][l], a[k], b[l]);
    }
#pragma unroll
    for (int k = 0; k < 4; ++k)
#pragma unroll
      for (int l = 0; l <= k; ++l) {
        const int i = ti + s.t * k, j = tj + s.t * l;
        if (i < s.f && j < i) result[sample * s.pairs + i * (i - 1) / 2 + j] = sum[k][l];
      }
  }
  __syncthreads();
  for (int e = static_cast<int>(threadIdx.x); e < n * s.pairs; e += static_cast<int>(blockDim.x))
    y[first * s.pairs + e] = result[e];
}

// dy of n samples as symmetric matrices [n, 4 t, 4 matrix_stride] with zeros on the diagonal and beyond f.
__device__ void load_matrices(const Tiles& s, int n, const float* dy, float* matrices) {
  const int rows = 4 * s.t, stride = 4 * s.matrix_stride;
  const int lane = static_cast<int>(threadIdx.x % 32), warps = static_cast<int>(blockDim.x / 32);
  for (int row = static_cast<int>(threadIdx.x / 32); row < n * rows; row += warps) {
    const int sample = row / rows, i = row % rows;
    float* const matrix = matrices + sample * rows * stride;
    const float* const pairs = dy + sample * s.pairs + i * (i - 1) / 2;  // not read where i >= f
    for (int j = lane; j < rows; j += 32) {
      if (i < s.f && j < i) {
        const float v = pairs[j];
        matrix[i * stride + j] = v;
        matrix[j * stride + i] = v;
      } else if (i == j || i >= s.f || j >= s.f) {
        matrix[i * stride + j] = 0;
      }
    }
  }
}

__device__ float element(const float4& v, int q) { return q == 0 ? v.x : q == 1 ? v.y : q == 2 ? v.z : v.w; }

__global__ void __launch_bounds__(kThreads, 3) dot_gradient_tiles(Tiles s, int64_t batch, const float* __restrict__ dy,
                                                                  const float* __restrict__ x, float* __restrict__ dx) {
  WN_SHARED_DYN(float4, rows);
  float4* const matrices = rows + s.samples * 4 * s.t * s.stride;
  const int64_t first = int64_t{blockIdx.x} * s.samples;
  const int n = batch - first < s.samples ? static_cast<int>(batch - first) : s.samples;
  load_rows(s, n, x + first * s.f * s.d, rows);
  load_matrices(s, n, dy + first * s.pairs, reinterpret_cast<float*>(matrices));
  __syncthreads();
  const int of_sample = s.t * s.columns;
  for (int item = static_cast<int>(threadIdx.x); item < n * of_sample; item += static_cast<int>(blockDim.x)) {
    const int sample = item / of_sample, ti = item % of_sample / s.columns, column = item % s.columns;
    const float4* const row = rows + sample * 4 * s.t * s.stride + column;
    const float4* const matrix = matrices + sample * 4 * s.t * s.matrix_stride;
    float4 sum[4] = {};
    for (int j = 0; j < s.t; ++j) {
      float4 v[4], g[4];
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        v[k] = row[(4 * j + k) * s.stride];
        g[k] = matrix[(ti + s.t * k) * s.matrix_stride + j];
      }
#pragma unroll
      for (int k = 0; k < 4; ++k)
#pragma unroll
        for (int q = 0; q < 4; ++q)
          if (4 * j + q != ti + s.t * k) multiply_add(sum[k], element(g[k], q), v[q]);  // 0 times inf is not 0
    }
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      if (ti + s.t * k >= s.f) break;
      float* const to = dx + ((first + sample) * s.f + ti + s.t * k) * s.d + 4 * column;
      if (s.d % 4 == 0) {
        *reinterpret_cast<float4*>(to) = sum[k];
      } else {
        for (int q = 0; q < 4 && 4 * column + q < s.d; ++q) to[q] = element(sum[k], q);
      }
    }
  }
}

// A warp for each row of each sample, straight from memory.
__global__ void __launch_bounds__(kThreads)
    dot_rows(int64_t batch, int64_t f, int64_t d, const float* __restrict__ x, float* __restrict__ y) {
  const int64_t warps = int64_t{gridDim.x} * (kThreads / 32), lane = threadIdx.x % 32;
  for (int64_t item = int64_t{blockIdx.x} * (kThreads / 32) + threadIdx.x / 32; item < batch * f; item += warps) {
    const int64_t b = item / f, i = item % f;
    const float* const sample = x + b * f * d;
    float* const pairs = y + b * triangle(f) + triangle(i);
    // long rows by all lanes, short ones by one
    const int64_t step = d >= 64 ? 1 : 32, stride = d >= 64 ? 32 : 1;
    for (int64_t j = d >= 64 ? 0 : lane; j < i; j += step) {
      float sum = 0;
      for (int64_t k = d >= 64 ? lane : 0; k < d; k += stride) sum += sample[i * d + k] * sample[j * d + k];
      if (d >= 64) sum = cuda::warp_reduce(sum, cuda::Sum());
      if (d < 64 || lane == 0) pairs[j] = sum;
    }
  }
}
__global__ void __launch_bounds__(kThreads)
    dot_gradient_rows(int64_t batch, int64_t f, int64_t d, const float* __restrict__ dy, const float* __restrict__ x,
                      float* __restrict__ dx) {
  const int64_t warps = int64_t{gridDim.x} * (kThreads / 32), lane = threadIdx.x % 32;
  for (int64_t item = int64_t{blockIdx.x} * (kThreads / 32) + threadIdx.x / 32; item < batch * f; item += warps) {
    const int64_t b = item / f, i = item % f;
    const float *const sample = x + b * f * d, *const pairs = dy + b * triangle(f);
    for (int64_t k = lane; k < d; k += 32) {
      float sum = 0;
      for (int64_t j = 0; j < f; ++j)
        if (j != i) sum += pairs[j < i ? triangle(i) + j : triangle(j) + i] * sample[j * d + k];
      dx[item * d + k] = sum;
    }
  }
}

template <bool grad>
void prepare(const NodeSpec& n, Prepare& p) {
  p.state<Tiles>(n.in.back().shape, grad);
}
void run(const Call& c) {
  const auto& s = c.state<Tiles>();
  const Shape& x = c.in_spec(0).shape;
  if (c.out_numel(0) == 0) return;
  if (s.samples > 0)
    cuda::run(c, dot_tiles, s.grid(x[0]), s.threads, s.shared_bytes(), s, x[0], c.in<float>(0), c.out<float>(0));
  else
    cuda::run(c, dot_rows, cuda::grid(x[0] * x[1] * 32, kThreads), kThreads, 0, x[0], x[1], x[2], c.in<float>(0),
              c.out<float>(0));
}
void run_grad(const Call& c) {
  const auto& s = c.state<Tiles>();
  const Shape& x = c.in_spec(1).shape;
  if (c.out_numel(0) == 0) return;
  if (s.samples > 0)
    cuda::run(c, dot_gradient_tiles, s.grid(x[0]), s.threads, s.shared_bytes(), s, x[0], c.in<float>(0), c.in<float>(1),
              c.out<float>(0));
  else
    cuda::run(c, dot_gradient_rows, cuda::grid(x[0] * x[1] * 32, kThreads), kThreads, 0, x[0], x[1], x[2],
              c.in<float>(0), c.in<float>(1), c.out<float>(0));
}

}  // namespace

void register_dot_interaction_cuda(Registry& r) {
  r.add_kernel("dot_interaction", {.name = "tiles",
                                   .device = Device::CUDA,
                                   .reject = cuda::reject_all_but_f32,
                                   .prepare = prepare<false>,
                                   .run = run});
  r.add_kernel("dot_interaction_grad", {.name = "tiles",
                                        .device = Device::CUDA,
                                        .reject = cuda::reject_all_but_f32,
                                        .prepare = prepare<true>,
                                        .run = run_grad});
}

}  // namespace winnow
