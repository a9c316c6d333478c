// batch_norm (training, moves the running statistics) and batch_norm_inference, two operators because only the first
// writes to its inputs. They share the gradient: with no live row the statistics are constants.
#include "ops/batch_norm.h"

#include <cmath>

#include "core/samples.h"
#include "ops/detail/block_sums.h"

namespace winnow {

using namespace detail;

Value batch_norm(Value x, Value gamma, Value beta, Value row_weight, Value running_mean, Value running_var,
                 bool training, double momentum, double eps, Loc loc) {
  if (!training)
    return x.graph->apply("batch_norm_inference", {x, gamma, beta, running_mean, running_var}, {{"eps", eps}}, loc);
  if (!row_weight) {
    WN_CHECK(x.shape().rank() == 2, ShapeError, "batch_norm(): x {} is not a matrix ({})", x.shape().str(),
             at_source(loc));
    const std::vector<float> ones(static_cast<size_t>(x.shape()[0]), 1.0f);
    row_weight = x.graph->constant(Tensor::of(ones, {x.shape()[0]}).to(x.dtype()));
  }
  return x.graph->apply("batch_norm", {x, gamma, beta, row_weight, running_mean, running_var},
                        {{"momentum", momentum}, {"eps", eps}}, loc);
}

namespace {

constexpr int64_t kTile = 128;  // columns; with 64 rows 32 KiB, so that the second pass over a block is in the cache

struct State {
  double momentum, eps;
};

void infer_common(Infer& i, int inputs, int x, int first, int last) {
  i.expect_inputs(inputs);
  i.expect_dtype(x, {DType::F32, DType::F64});
  i.expect_same_dtype(0, inputs - 1);
  i.expect_rank(x, 2);
  for (int k = first; k <= last; ++k) i.expect_shape(k, Shape{i.shape(x)[1]});
}
void check_eps(Infer& i) {
  const double eps = i.attrs().number("eps");
  i.check(eps > 0 && eps < 1, "eps is {}, must be in (0, 1)", eps);
}

void infer_training(Infer& i) {  // x, gamma, beta, row_weight, running_mean, running_var -> y, mean, rstd
  infer_common(i, 6, 0, 1, 2);
  i.expect_shape(3, Shape{i.shape(0)[0]});
  for (const int k : {4, 5}) i.expect_shape(k, i.shape(1));
  check_eps(i);
  const double momentum = i.attrs().number("momentum");
  i.check(momentum >= 0 && momentum <= 1, "momentum is {}, must be in [0, 1]", momentum);
  i.out(i.in(0));
  i.out(i.in(1));
  i.out(i.in(1));
}
// Scratch: mean and m2 of the columns by block, then the number of live rows of each block.
void prepare_training(const NodeSpec& n, Prepare& p) {
  p.state<State>() = {n.attrs.number("momentum"), n.attrs.number("eps")};
  const TensorSpec& x = n.in[0];
  p.scratch(static_cast<size_t>(row_blocks(x.shape[0]) * (2 * x.shape[1] + 1)) * size_of(x.dtype));
}

// Number of live rows in [begin, end).
template <class T>
int64_t live_rows(const T* weight, int64_t begin, int64_t end) {
  int64_t n = 0;
  for (int64_t r = begin; r < end; ++r) n += weight[r] != 0;
  return n;
}

// Mean and sum of squared deviations of `width` columns over the `live` rows of one block; x is its first row.
template <class T>
void block_moments(const T* x, const T* weight, int64_t rows, T live, int64_t stride, int64_t width, T* mean, T* m2) {
  std::fill(mean, mean + width, T(0));
  std::fill(m2, m2 + width, T(0));
  for (int64_t r = 0; r < rows; ++r) {
    if (weight[r] == 0) continue;
    for (int64_t j = 0; j < width; ++j) mean[j] += x[r * stride + j];
  }
  for (int64_t j = 0; j < width; ++j) mean[j] /= std::max(T(1), live);
  for (int64_t r = 0; r < rows; ++r) {
    if (weight[r] == 0) continue;
    for (int64_t j = 0; j < width; ++j) {
      const T d = x[r * stride + j] - mean[j];
      m2[j] += d * d;
    }
  }
}

// Moments of a column from those of the blocks, merged in order (Chan, Golub, LeVeque 1979), and what follows from
// them.
template <class T>
void finish_column(const Call& c, int64_t column, int64_t rows, int64_t columns) {
  const State& s = c.state<State>();
  const int64_t blocks = row_blocks(rows);
  const T *partial = c.scratch_as<T>() + column, *live = c.scratch_as<T>() + 2 * blocks * columns;
  double n = 0, mean = 0, m2 = 0;
  for (int64_t b = 0; b < blocks; ++b, partial += 2 * columns) {
    const double more = static_cast<double>(live[b]);
    if (more == 0) continue;
    const double delta = static_cast<double>(partial[0]) - mean, total = n + more;
    mean += delta * more / total;
    m2 += static_cast<double>(partial[columns]) + delta * delta * n * more / total;
    n = total;
  }
  T &running_mean = c.mut<T>(4)[column], &running_var = c.mut<T>(5)[column];
  double var = m2 / std::max(1.0, n);
  if (n == 0) {
    mean = static_cast<double>(running_mean);
    var = static_cast<double>(running_var);
  } else {
    const double keep = 1 - s.momentum, unbiased = m2 / std::max(1.0, n - 1);
    if (std::isfinite(m2)) {  // a batch with NaN or infinity leaves the statistics as they were
      running_mean = static_cast<T>(keep * static_cast<double>(running_mean) + s.momentum * mean);
      running_var = static_cast<T>(keep * static_cast<double>(running_var) + s.momentum * unbiased);
    }
  }
  c.out<T>(1)[column] = static_cast<T>(mean);
  c.out<T>(2)[column] = static_cast<T>(1 / std::sqrt(var + s.eps));
}

template <class T>
void normalise(int64_t rows, int64_t n, const T* x, const T* gamma, const T* beta, const T* mean, const T* rstd, T* y) {
  if (n == 0) return;
  parallel_for(rows, grain(n), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const T* from = x + r * n;
      T* to = y + r * n;
#pragma omp simd
      for (int64_t j = 0; j < n; ++j) to[j] = (from[j] - mean[j]) * rstd[j] * gamma[j] + beta[j];
    }
  });
}

void run_training(const Call& c) {
  visit_float(c.in_spec(0).dtype, "batch_norm", [&]<class T> {
    const int64_t rows = c.in_spec(0).shape[0], n = c.in_spec(0).shape[1];
    const int64_t each = rows_per_block(rows), blocks = row_blocks(rows), tiles = (n + kTile - 1) / kTile;
    const T *x = c.in<T>(0), *weight = c.in<T>(3);
    T *partial = c.scratch_as<T>(), *live = partial + 2 * blocks * n;
    for (int64_t b = 0; b < blocks; ++b)
      live[b] = static_cast<T>(live_rows(weight, b * each, std::min(rows, (b + 1) * each)));
    parallel_for(blocks * tiles, grain(2 * each * std::min(kTile, n)), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t b = i / tiles, column = i % tiles * kTile, first = b * each;
        T* mean = partial + 2 * b * n + column;
        block_moments(x + first * n + column, weight + first, std::min(each, rows - first), live[b], n,
                      std::min(kTile, n - column), mean, mean + n);
      }
    });
    parallel_for(n, grain(blocks), [&](int64_t begin, int64_t end) {
      for (int64_t j = begin; j < end; ++j) finish_column<T>(c, j, rows, n);
    });
    normalise(rows, n, x, c.in<T>(1), c.in<T>(2), c.out<T>(1), c.out<T>(2), c.out<T>(0));
  });
}
void grad_training(Grad& g) {
  for (const int k : {1, 2})
    WN_CHECK(!g.dy(k), Error, "batch_norm(): output {} is a saved statistic and has no gradient ({})", k,
             at_source(g.loc()));
  const auto d = g.graph().apply_all("batch_norm_grad", {g.dy(), g.x(0), g.x(1), g.x(3), g.y(1), g.y(2)}, {}, g.loc());
  for (int k = 0; k < 3; ++k) g.dx(k, d[static_cast<size_t>(k)]);
}

void infer_inference(Infer& i) {  // x, gamma, beta, running_mean, running_var -> y, rstd
  infer_common(i, 5, 0, 1, 4);
  check_eps(i);
  i.out(i.in(0));
  i.out(i.in(1));
}
void prepare_inference(const NodeSpec& n, Prepare& p) { p.state<State>() = {0, n.attrs.number("eps")}; }
void run_inference(const Call& c) {
  visit_float(c.in_spec(0).dtype, "batch_norm_inference", [&]<class T> {
    const int64_t rows = c.in_spec(0).shape[0], n = c.in_spec(0).shape[1];
    const T eps = static_cast<T>(c.state<State>().eps), *var = c.in<T>(4);
    T* rstd = c.out<T>(1);
    for (int64_t j = 0; j < n; ++j) rstd[j] = 1 / std::sqrt(var[j] + eps);
    normalise(rows, n, c.in<T>(0), c.in<T>(1), c.in<T>(2), c.in<T>(3), rstd, c.out<T>(0));
  });
}
void grad_inference(Grad& g) {
  WN_CHECK(!g.dy(1), Error, "batch_norm_inference(): output 1 is a saved statistic and has no gradient ({})",
           at_source(g.loc()));
  const Shape live{g.x(0).shape()[0]};
  const Value none = g.graph().constant(Tensor::zeros({g.x(0).dtype(), live}));
  const auto d = g.graph().apply_all("batch_norm_grad", {g.dy(), g.x(0), g.x(1), none, g.x(3), g.y(1)}, {}, g.loc());
  for (int k = 0; k < 3; ++k) g.dx(k, d[static_cast<size_t>(k)]);
}

void infer_grad(Infer& i) {  // dy, x, gamma, row_weight, mean, rstd -> dx, dgamma, dbeta
  infer_common(i, 6, 1, 2, 2);
  i.expect_shape(0, i.shape(1));
  i.expect_shape(3, Shape{i.shape(1)[0]});
  for (const int k : {4, 5}) i.expect_shape(k, i.shape(2));
  i.out(i.in(1));
  i.out(i.in(2));
  i.out(i.in(2));
}
void prepare_grad(const NodeSpec& n, Prepare& p) {
  const TensorSpec& x = n.in[1];
  p.scratch(static_cast<size_t>(row_blocks(x.shape[0]) * 2 * x.shape[1]) * size_of(x.dtype));
}
// dx = gamma * rstd * (dy - live * (dbeta + xhat * dgamma) / n): every row's dy passes through the shared statistics,
// which depend on the n live rows only.
void run_grad(const Call& c) {
  visit_float(c.in_spec(0).dtype, "batch_norm_grad", [&]<class T> {
    const int64_t rows = c.in_spec(1).shape[0], n = c.in_spec(1).shape[1];
    const int64_t each = rows_per_block(rows), blocks = row_blocks(rows);
    const T *dy = c.in<T>(0), *x = c.in<T>(1), *gamma = c.in<T>(2), *weight = c.in<T>(3);
    const T *mean = c.in<T>(4), *rstd = c.in<T>(5);
    T *dx = c.out<T>(0), *dgamma = c.out<T>(1), *dbeta = c.out<T>(2), *partial = c.scratch_as<T>();
    parallel_for(blocks, grain(each * n), [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) {
        T *sum_xhat = partial + 2 * b * n, *sum = sum_xhat + n;
        std::fill(sum_xhat, sum_xhat + 2 * n, T(0));
        for (int64_t r = b * each; r < std::min(rows, (b + 1) * each); ++r) {
#pragma omp simd
          for (int64_t j = 0; j < n; ++j) {
            const T d = dy[r * n + j];
            sum_xhat[j] += d * ((x[r * n + j] - mean[j]) * rstd[j]);
            sum[j] += d;
          }
        }
      }
    });
    add_blocks(partial, blocks, 2 * n, n, dgamma);
    add_blocks(partial + n, blocks, 2 * n, n, dbeta);
    const T share = T(1) / static_cast<T>(std::max<int64_t>(1, live_rows(weight, 0, rows)));
    parallel_for(rows, grain(2 * n), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const T part = weight[r] != 0 ? share : T(0);
#pragma omp simd
        for (int64_t j = 0; j < n; ++j) {
          const T xhat = (x[r * n + j] - mean[j]) * rstd[j];
          dx[r * n + j] = gamma[j] * rstd[j] * (dy[r * n + j] - part * (dbeta[j] + xhat * dgamma[j]));
        }
      }
    });
  });
}

Cost cost(const NodeSpec& n) {
  const TensorSpec& x = n.in[1].shape.rank() == 2 ? n.in[1] : n.in[0];  // the gradient has dy first
  return {10.0 * static_cast<double>(x.shape.numel()), 4.0 * static_cast<double>(x.bytes())};
}

// Weights of which every `gap`-th is 0, the rest 1; 0: all live.
Arg weights(int64_t rows, int64_t gap) {
  std::vector<double> w;
  for (int64_t r = 0; r < rows; ++r) w.push_back(gap > 0 && r % gap == gap - 1 ? 0 : 1);
  return fixed(f32({rows}, Fill::of(w)));
}
Arg positive(int64_t n) { return fixed(f32({n}, Fill::uniform(0.5, 1.5))); }

const Attrs kTraining{{"momentum", 0.1}, {"eps", 1e-5}};

std::vector<Arg> training(int64_t rows, int64_t n, int64_t gap) {
  return {f32({rows, n}), f32({n}), f32({n}), weights(rows, gap), fixed(f32({n})), positive(n)};
}
void samples_training(Samples& s) {
  auto far = training(67, 9, 0), momentum = training(4, 3, 0), eps = momentum, shape = momentum, wrong = momentum;
  far[0].fill = Fill::uniform(99, 101);
  shape[3].spec.shape = {5};
  wrong[0].spec.shape = {4, 3, 1};
  s.add({.name = "padded", .in = training(19, 7, 5), .attrs = kTraining})
      .add({.name = "all_live", .in = training(5, 3, 0), .attrs = kTraining})
      .add({.name = "two_rows", .in = training(2, 1, 0), .attrs = kTraining, .constant_ok = true})
      .add({.name = "one_row", .in = training(1, 4, 0), .attrs = kTraining, .constant_ok = true})
      .add({.name = "none_live", .in = training(3, 4, 1), .attrs = kTraining, .constant_ok = true})
      .add({.name = "no_rows", .in = training(0, 4, 0), .attrs = kTraining, .constant_ok = true})
      .add({.name = "far_from_zero", .in = far, .attrs = kTraining, .grad = false})
      .add({.name = "blocks", .in = training(301, 130, 7), .attrs = kTraining, .grad = false})
      .add({.name = "vectors", .in = training(150, 36, 7), .attrs = kTraining, .grad = false})
      .add({.name = "bench", .in = training(2048, 1024, 0), .attrs = kTraining, .grad = false, .bench = true})
      .add({.name = "momentum",
            .in = momentum,
            .attrs = {{"momentum", 1.5}, {"eps", 1e-5}},
            .throws = "momentum is 1.5"})
      .add({.name = "eps", .in = eps, .attrs = {{"momentum", 0.1}, {"eps", 0.0}}, .throws = "eps is 0"})
      .add({.name = "weights", .in = shape, .attrs = kTraining, .throws = "input 3 is [5], expected [4]"})
      .add({.name = "rank", .in = wrong, .attrs = kTraining, .throws = "has rank 3, expected 2"});
}
void samples_inference(Samples& s) {
  const Attrs attrs{{"eps", 1e-5}};
  const auto in = [](int64_t rows, int64_t n) {
    return std::vector<Arg>{f32({rows, n}), f32({n}), f32({n}), fixed(f32({n})), positive(n)};
  };
  auto wide = in(4, 3);
  wide[1].spec.shape = {4};
  s.add({.name = "rows", .in = in(19, 7), .attrs = attrs})
      .add({.name = "one", .in = in(1, 1), .attrs = attrs})
      .add({.name = "no_rows", .in = in(0, 3), .attrs = attrs, .constant_ok = true})
      .add({.name = "vectors", .in = in(70, 36), .attrs = attrs, .grad = false})
      .add({.name = "bench", .in = in(2048, 1024), .attrs = attrs, .grad = false, .bench = true})
      .add({.name = "gamma", .in = wide, .attrs = attrs, .throws = "input 1 is [4], expected [3]"});
}
void samples_grad(Samples& s) {
  const auto in = [](int64_t rows, int64_t n, int64_t gap) {
    return std::vector<Arg>{f32({rows, n}), f32({rows, n}), f32({n}), weights(rows, gap), fixed(f32({n})), positive(n)};
  };
  auto wide = in(4, 3, 0);
  wide[0].spec.shape = {4, 4};
  s.add({.name = "padded", .in = in(19, 7, 5)})
      .add({.name = "one", .in = in(1, 1, 0)})
      .add({.name = "none_live", .in = in(5, 3, 1)})
      .add({.name = "no_rows", .in = in(0, 3, 0), .constant_ok = true})
      .add({.name = "blocks", .in = in(150, 33, 4)})
      .add({.name = "vectors", .in = in(70, 36, 4)})
      .add({.name = "bench", .in = in(2048, 1024, 0), .bench = true})
      .add({.name = "dy", .in = wide, .throws = "input 0 is [4, 4], expected [4, 3]"});
}

}  // namespace

void register_batch_norm(Registry& r) {
  // The mean is kept to eps / 2 * |mean|, which deviations 170 times smaller (far_from_zero) see enlarged.
  const Tolerance tolerance{.ulp = 16, .sum = 128};
  r.add(
      {.name = "batch_norm",
       .doc =
           "y, mean, rstd by column from (x, gamma, beta, row_weight, running_mean, running_var); attrs momentum, eps",
       .infer = infer_training,
       .grad = grad_training,
       .cost = cost,
       .samples = samples_training,
       .tolerance = tolerance,
       .kernels = {{.name = "reference", .prepare = prepare_training, .run = run_training}},
       .mutates = {4, 5}});
  r.add({.name = "batch_norm_inference",
         .doc = "y, rstd = (x - running_mean) * rstd * gamma + beta, 1 / sqrt(running_var + attr eps) by column",
         .infer = infer_inference,
         .grad = grad_inference,
         .cost = cost,
         .samples = samples_inference,
         .tolerance = tolerance,
         .kernels = {{.name = "reference", .prepare = prepare_inference, .run = run_inference}},
         .inplace = {{0, 0}}});
  r.add({.name = "batch_norm_grad",
         .doc = "dx, dgamma, dbeta of batch_norm from (dy, x, gamma, row_weight, mean, rstd)",
         .infer = infer_grad,
         .no_grad = "first-order only",
         .cost = cost,
         .samples = samples_grad,
         .tolerance = tolerance,
         .kernels = {{.name = "reference", .prepare = prepare_grad, .run = run_grad}},
         .inplace = {{0, 0}}});
}

}  // namespace winnow
