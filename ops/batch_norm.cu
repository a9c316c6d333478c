// batch_norm, batch_norm_inference and their gradient. Statistics go by ranges of rows: mean and squared deviations of
// each range about its own mean, merged in order in double. x is read twice and written once.
#include "core/cuda/column_sums.h"
#include "core/cuda/rows.h"
#include "core/cuda/totals.h"

namespace winnow {
namespace {

using cuda::Totals, cuda::map;

constexpr unsigned kThreads = 256;

// ---- statistics

__device__ float sum_of_tile(float (&tile)[8][32], float value) {
  const unsigned lane = threadIdx.x % 32;
  tile[threadIdx.x / 32][lane] = value;
  __syncthreads();
  float sum = tile[0][lane];
  for (unsigned i = 1; i < 8; ++i) sum += tile[i][lane];
  __syncthreads();
  return sum;
}
// parts [ranges, 2 n]: mean and squared deviations of the live rows of a range; live [ranges]: their number. Block
// (32 columns, range).
__global__ void __launch_bounds__(kThreads) range_moments(const float* x, const float* weight, int64_t rows,
                                                          int64_t rows_of_range, int64_t n, float* parts, float* live) {
  WN_SHARED(float, tile, [8][32]);
  const unsigned lane = threadIdx.x % 32, row_of_tile = threadIdx.x / 32;
  const int64_t column = int64_t{blockIdx.x} * 32 + lane, begin = int64_t{blockIdx.y} * rows_of_range;
  const int64_t first = begin + row_of_tile, last = begin + rows_of_range < rows ? begin + rows_of_range : rows;
  const bool inside = column < n;
  float sum = 0, count = 0, squares = 0;
  for (int64_t row = first; row < last; row += 8)
    if (weight[row] != 0) {
      count += 1;
      if (inside) sum += x[row * n + column];
    }
  count = sum_of_tile(tile, count);
  const float mean = sum_of_tile(tile, sum) / (count < 1 ? 1 : count);
  for (int64_t row = first; row < last; row += 8)
    if (inside && weight[row] != 0) {
      const float d = x[row * n + column] - mean;
      squares += d * d;
    }
  squares = sum_of_tile(tile, squares);
  if (threadIdx.x == 0 && blockIdx.x == 0) live[blockIdx.y] = count;
  if (row_of_tile != 0 || !inside) return;
  float* const part = parts + int64_t{blockIdx.y} * 2 * n + column;
  part[0] = mean;
  part[n] = squares;
}

// Moments of two sets of rows together (Chan, Golub, LeVeque 1979).
struct Moments {
  double n = 0, mean = 0, m2 = 0;
  __device__ void merge(double more, double more_mean, double more_m2) {
    if (more == 0) return;
    const double delta = more_mean - mean, share = more / (n + more);
    mean += delta * share;
    m2 += more_m2 + delta * delta * n * share;
    n += more;
  }
};
struct Statistics {
  float *mean, *rstd, *running_mean, *running_var;
  double momentum, eps;
  __device__ void store(int64_t column, Moments m) const {
    double var = m.m2 / (m.n < 1 ? 1 : m.n);
    if (m.n == 0) {
      m.mean = static_cast<double>(running_mean[column]);
      var = static_cast<double>(running_var[column]);
    } else if (m.m2 - m.m2 == 0) {  // finite: a batch with NaN or infinity leaves the statistics as they were
      const double keep = 1 - momentum, unbiased = m.m2 / (m.n < 2 ? 1 : m.n - 1);
      running_mean[column] = static_cast<float>(keep * static_cast<double>(running_mean[column]) + momentum * m.mean);
      running_var[column] = static_cast<float>(keep * static_cast<double>(running_var[column]) + momentum * unbiased);
    }
    mean[column] = static_cast<float>(m.mean);
    rstd[column] = static_cast<float>(1 / std::sqrt(var + eps));
  }
};
// A block has 32 columns; 16 threads of a column merge every 16th range each, then one merges these.
__global__ void __launch_bounds__(512)
    merge_ranges(int64_t ranges, int64_t n, const float* parts, const float* live, Statistics statistics) {
  WN_SHARED(double, tile, [16][3][32]);
  const unsigned lane = threadIdx.x % 32, part_of_tile = threadIdx.x / 32;
  const int64_t column = int64_t{blockIdx.x} * 32 + lane;
  Moments m;
  if (column < n)
    for (int64_t range = part_of_tile; range < ranges; range += 16) {
      const float* const part = parts + range * 2 * n + column;
      m.merge(static_cast<double>(live[range]), static_cast<double>(part[0]), static_cast<double>(part[n]));
    }
  tile[part_of_tile][0][lane] = m.n;
  tile[part_of_tile][1][lane] = m.mean;
  tile[part_of_tile][2][lane] = m.m2;
  __syncthreads();
  if (part_of_tile != 0 || column >= n) return;
  for (unsigned i = 1; i < 16; ++i) m.merge(tile[i][0][lane], tile[i][1][lane], tile[i][2][lane]);
  statistics.store(column, m);
}

// ---- elements: a thread keeps what its columns need and walks rows

template <class Pack>
__device__ Pack pack_of(const float* p, int64_t j) {
  return reinterpret_cast<const Pack*>(p)[j];
}
// of_columns(j) gives the function of a row for the columns of pack j.
template <class OfColumns>
__device__ void each_element(int64_t rows, int64_t packs, OfColumns of_columns) {
  const int64_t j = int64_t{blockIdx.x} * 32 + threadIdx.x % 32;
  if (j >= packs) return;
  const auto of_row = of_columns(j);
  for (int64_t row = int64_t{blockIdx.y} * 8 + threadIdx.x / 32; row < rows; row += int64_t{gridDim.y} * 8) of_row(row);
}
inline dim3 element_grid(int64_t rows, int64_t packs) {
  return dim3(static_cast<unsigned>((packs + 31) / 32),
              static_cast<unsigned>(std::clamp<int64_t>((rows + 15) / 16, 1, 65535)));
}
// f<Pack>(packs of a row): float4 where rows are of whole vectors.
template <class F>
void with_packs(int64_t n, F f) {
  if (n == 0) return;
  n % 4 == 0 ? f.template operator()<float4>(n / 4) : f.template operator()<float>(n);
}

struct Normalise {
  const float *x, *gamma, *beta, *mean, *rstd;
  const float* var;  // not null: rstd is taken from it and stored
  float *new_rstd, *y;
  float eps;
};
template <class Pack>
__global__ void __launch_bounds__(kThreads) normalise(Normalise a, int64_t rows, int64_t packs) {
  each_element(rows, packs, [&](int64_t j) {
    const Pack mean = pack_of<Pack>(a.mean, j), gamma = pack_of<Pack>(a.gamma, j), beta = pack_of<Pack>(a.beta, j);
    Pack rstd = pack_of<Pack>(a.var != nullptr ? a.var : a.rstd, j);
    if (a.var != nullptr) {
      rstd = map([eps = a.eps](float v) { return 1.0f / sqrtf(v + eps); }, rstd);
      if (blockIdx.y == 0 && threadIdx.x < 32) reinterpret_cast<Pack*>(a.new_rstd)[j] = rstd;
    }
    return [=](int64_t row) {
      reinterpret_cast<Pack*>(a.y)[row * packs + j] =
          map([](float v, float m, float s, float g, float b) { return (v - m) * s * g + b; },
              pack_of<Pack>(a.x, row * packs + j), mean, rstd, gamma, beta);
    };
  });
}
void run_normalise(const Call& c, const Normalise& a) {
  const int64_t rows = c.in_spec(0).shape[0];
  with_packs(c.in_spec(0).shape[1], [&]<class Pack>(int64_t packs) {
    cuda::run(c, normalise<Pack>, element_grid(rows, packs), kThreads, 0, a, rows, packs);
  });
}

struct Gradient {
  const float *dy, *x, *gamma, *weight, *mean, *rstd, *dgamma, *dbeta, *share;
  float* dx;
};
// dx = gamma * rstd * (dy - live * (dbeta + xhat * dgamma) / n); share: 1 / n
template <class Pack>
__global__ void __launch_bounds__(kThreads) gradient(Gradient a, int64_t rows, int64_t packs) {
  each_element(rows, packs, [&](int64_t j) {
    const Pack mean = pack_of<Pack>(a.mean, j), rstd = pack_of<Pack>(a.rstd, j), dgamma = pack_of<Pack>(a.dgamma, j);
    const Pack dbeta = pack_of<Pack>(a.dbeta, j);
    const Pack scale = map([](float g, float s) { return g * s; }, pack_of<Pack>(a.gamma, j), rstd);
    const float share = *a.share;
    return [=](int64_t row) {
      const float part = a.weight[row] != 0 ? share : 0.0f;
      const Pack correction =
          map([part](float v, float m, float s, float dg, float db) { return part * (db + (v - m) * s * dg); },
              pack_of<Pack>(a.x, row * packs + j), mean, rstd, dgamma, dbeta);
      reinterpret_cast<Pack*>(a.dx)[row * packs + j] = map([](float d, float less, float s) { return s * (d - less); },
                                                           pack_of<Pack>(a.dy, row * packs + j), correction, scale);
    };
  });
}
// parts [ranges, 2 n]: sums of dy xhat and of dy over the rows of a range.
__global__ void __launch_bounds__(kThreads)
    range_sums(Gradient a, int64_t rows, int64_t rows_of_range, int64_t n, float* parts) {
  WN_SHARED(float, tile, [8][32]);
  const int64_t column = int64_t{blockIdx.x} * 32 + threadIdx.x % 32, begin = int64_t{blockIdx.y} * rows_of_range;
  const int64_t last = begin + rows_of_range < rows ? begin + rows_of_range : rows;
  const bool inside = column < n;
  float of_xhat = 0, of_one = 0;
  if (inside) {
    const float mean = a.mean[column], rstd = a.rstd[column];
    for (int64_t row = begin + threadIdx.x / 32; row < last; row += 8) {
      const float d = a.dy[row * n + column];
      of_xhat += d * ((a.x[row * n + column] - mean) * rstd);
      of_one += d;
    }
  }
  of_xhat = sum_of_tile(tile, of_xhat);
  of_one = sum_of_tile(tile, of_one);
  if (threadIdx.x >= 32 || !inside) return;
  float* const part = parts + int64_t{blockIdx.y} * 2 * n + column;
  part[0] = of_xhat;
  part[n] = of_one;
}

// ---- the operators

struct State {
  double momentum, eps;
};
void prepare(const NodeSpec& node, Prepare& p) {
  p.state<State>() = {node.attrs.number("momentum", 0), node.attrs.number("eps")};
}
// Scratch: the ranges' parts, then the live rows of each.
void prepare_training(const NodeSpec& node, Prepare& p) {
  prepare(node, p);
  const int64_t ranges = cuda::row_ranges(node.in[0].shape[0]).count;
  p.scratch(static_cast<size_t>(ranges * (2 * node.in[0].shape[1] + 1)) * sizeof(float));
}
void run_training(const Call& c) {  // x, gamma, beta, row_weight, running_mean, running_var -> y, mean, rstd
  const auto& s = c.state<State>();
  const int64_t rows = c.in_spec(0).shape[0], n = c.in_spec(0).shape[1];
  if (n == 0) return;
  const cuda::RowRanges ranges = cuda::row_ranges(rows);
  const auto tiles = static_cast<unsigned>((n + 31) / 32);
  auto *const parts = c.scratch_as<float>(), *const live = parts + ranges.count * 2 * n;
  if (ranges.count > 0)
    cuda::run(c, range_moments, dim3(tiles, static_cast<unsigned>(ranges.count)), kThreads, 0, c.in<float>(0),
              c.in<float>(3), rows, ranges.rows, n, parts, live);
  cuda::run(c, merge_ranges, dim3(tiles), 512, 0, ranges.count, n, parts, live,
            Statistics{c.out<float>(1), c.out<float>(2), c.mut<float>(4), c.mut<float>(5), s.momentum, s.eps});
  if (rows > 0)
    run_normalise(c, {c.in<float>(0), c.in<float>(1), c.in<float>(2), c.out<float>(1), c.out<float>(2), nullptr,
                      nullptr, c.out<float>(0), 0});
}
void run_inference(const Call& c) {  // x, gamma, beta, running_mean, running_var -> y, rstd
  run_normalise(c, {c.in<float>(0), c.in<float>(1), c.in<float>(2), c.in<float>(3), nullptr, c.in<float>(4),
                    c.out<float>(1), c.out<float>(0), static_cast<float>(c.state<State>().eps)});
}

struct LiveRow {
  const float* weight;
  __device__ Totals operator()(int64_t row) const { return {0, weight[row] != 0 ? 1.0 : 0.0}; }
};
struct StoreShare {
  float* share;
  __device__ void operator()(Totals t) const { *share = 1.0f / static_cast<float>(t.weight < 1 ? 1 : t.weight); }
};
// Scratch: 1 / live rows, the parts of their number, those of the columns' sums.
size_t share_bytes(int64_t rows) { return sizeof(Totals) + cuda::totals_bytes(rows); }
void prepare_gradient(const NodeSpec& node, Prepare& p) {
  const Shape& x = node.in[1].shape;
  p.scratch(share_bytes(x[0]) + static_cast<size_t>(cuda::row_ranges(x[0]).count * 2 * x[1]) * sizeof(float));
}
void run_gradient(const Call& c) {  // dy, x, gamma, row_weight, mean, rstd -> dx, dgamma, dbeta
  const int64_t rows = c.in_spec(1).shape[0], n = c.in_spec(1).shape[1];
  if (n == 0) return;
  auto* const share = c.scratch_as<float>();
  auto* const parts = reinterpret_cast<float*>(c.scratch_as<char>() + share_bytes(rows));
  const Gradient a{c.in<float>(0), c.in<float>(1),  c.in<float>(2),  c.in<float>(3), c.in<float>(4),
                   c.in<float>(5), c.out<float>(1), c.out<float>(2), share,          c.out<float>(0)};
  const cuda::RowRanges ranges = cuda::row_ranges(rows);
  const dim3 blocks(static_cast<unsigned>((n + 31) / 32), static_cast<unsigned>(ranges.count));
  if (rows > 0) cuda::run(c, range_sums, blocks, kThreads, 0, a, rows, ranges.rows, n, parts);
  cuda::add_parts(c, ranges.count, 2 * n, n, parts, c.out<float>(1), c.out<float>(2));
  if (rows == 0) return;
  cuda::totals(c, rows, c.scratch_as<Totals>() + 1, LiveRow{c.in<float>(3)}, StoreShare{share});
  with_packs(n, [&]<class Pack>(int64_t packs) {
    cuda::run(c, gradient<Pack>, element_grid(rows, packs), kThreads, 0, a, rows, packs);
  });
}

}  // namespace

void register_batch_norm_cuda(Registry& r) {
  const auto add = [&](const char* op, auto prepare_node, auto run) {
    r.add_kernel(op, {.name = "columns",
                      .device = Device::CUDA,
                      .reject = cuda::reject_all_but_f32,
                      .prepare = prepare_node,
                      .run = run});
  };
  add("batch_norm", prepare_training, run_training);
  add("batch_norm_inference", prepare, run_inference);
  add("batch_norm_grad", prepare_gradient, run_gradient);
}

}  // namespace winnow
