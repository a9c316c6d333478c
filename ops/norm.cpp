// layer_norm and rms_norm. One thread has a row; what the gradients of gamma and beta need is summed by blocks of rows.
#include "ops/norm.h"

#include <cmath>

#include "core/samples.h"
#include "ops/detail/block_sums.h"
#include "ops/detail/moments.h"

namespace winnow {

using namespace detail;

Value layer_norm(Value x, Value gamma, Value beta, double eps, Loc loc) {
  return x.graph->apply("layer_norm", {x, gamma, beta}, {{"eps", eps}}, loc);
}
Value rms_norm(Value x, Value gamma, double eps, Loc loc) {
  return x.graph->apply("rms_norm", {x, gamma}, {{"eps", eps}}, loc);
}

namespace {

struct State {
  double eps;
};
void prepare(const NodeSpec& n, Prepare& p) { p.state<State>().eps = n.attrs.number("eps"); }

// x [.., n] and parameters [n] from input `first` on.
void infer_rows(Infer& i, int x, int first, int last) {
  i.expect_dtype(x, {DType::F32, DType::F64});
  i.expect_same_dtype(0, i.inputs() - 1);
  const Shape& s = i.shape(x);
  i.check(s.rank() > 0 && s.back() > 0, "x {} has no rows of elements", s.str());
  for (int k = first; k <= last; ++k) i.expect_shape(k, Shape{s.back()});
}
void check_eps(Infer& i) {
  const double eps = i.attrs().number("eps");
  i.check(eps >= 0 && eps < 1, "eps is {}, must be in [0, 1)", eps);
}
void refuse_statistics(const Grad& g, const char* op, int first, int last) {
  for (int k = first; k <= last; ++k)
    WN_CHECK(!g.dy(k), Error, "{}(): output {} is a saved statistic and has no gradient ({})", op, k,
             at_source(g.loc()));
}

void infer_layer_norm(Infer& i) {
  i.expect_inputs(3);
  infer_rows(i, 0, 1, 2);
  check_eps(i);
  const Shape& x = i.shape(0);
  i.out(i.in(0));
  i.out(i.dtype(0), x.without(x.rank() - 1));  // mean
  i.out(i.dtype(0), x.without(x.rank() - 1));  // rstd
}
void run_layer_norm(const Call& c) {
  visit_float(c.in_spec(0).dtype, "layer_norm", [&]<class T> {
    const int64_t n = c.in_spec(0).shape.back(), rows = c.out_numel(1);
    const T eps = static_cast<T>(c.state<State>().eps);
    const T *gamma = c.in<T>(1), *beta = c.in<T>(2);
    parallel_for(rows, grain(2 * n), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const T* x = c.in<T>(0) + r * n;
        T* y = c.out<T>(0) + r * n;
        const Moments<T> m(n, x, eps);
        normalise_row(n, m, x, gamma, beta, y);
        c.out<T>(1)[r] = m.mean;
        c.out<T>(2)[r] = m.rstd;
      }
    });
  });
}
void grad_layer_norm(Grad& g) {
  refuse_statistics(g, "layer_norm", 1, 2);
  const auto d = g.graph().apply_all("layer_norm_grad", {g.dy(), g.x(0), g.x(1), g.y(1), g.y(2)}, {}, g.loc());
  for (int k = 0; k < 3; ++k) g.dx(k, d[static_cast<size_t>(k)]);
}

void infer_layer_norm_grad(Infer& i) {  // dy, x, gamma, mean, rstd -> dx, dgamma, dbeta
  i.expect_inputs(5);
  infer_rows(i, 1, 2, 2);
  i.expect_shape(0, i.shape(1));
  for (int k = 3; k < 5; ++k) i.expect_shape(k, i.shape(1).without(i.shape(1).rank() - 1));
  i.out(i.in(1));
  i.out(i.in(2));
  i.out(i.in(2));
}
int64_t rows_of(const NodeSpec& n) { return n.in[1].shape.outer(n.in[1].shape.rank() - 1); }
template <int kParameters>
void prepare_grad(const NodeSpec& n, Prepare& p) {
  const TensorSpec& x = n.in[1];
  p.scratch(static_cast<size_t>(partial_sums(rows_of(n), kParameters, x.shape.back())) * size_of(x.dtype));
}
void run_layer_norm_grad(const Call& c) {
  visit_float(c.in_spec(0).dtype, "layer_norm_grad", [&]<class T> {
    const int64_t n = c.in_spec(1).shape.back();
    const T *gamma = c.in<T>(2), *mean = c.in<T>(3), *rstd = c.in<T>(4);
    rows_with_sums<2, T>(
        rows_of(*c.spec), n, c.scratch_as<T>(), {c.out<T>(1), c.out<T>(2)}, [&](int64_t r, T* partial) {
          const T *dy = c.in<T>(0) + r * n, *x = c.in<T>(1) + r * n;
          normalise_row_grad(n, {mean[r], rstd[r]}, dy, x, gamma, c.out<T>(0) + r * n, partial, partial + n);
        });
  });
}

void infer_rms_norm(Infer& i) {
  i.expect_inputs(2);
  infer_rows(i, 0, 1, 1);
  check_eps(i);
  i.out(i.in(0));
  i.out(i.dtype(0), i.shape(0).without(i.shape(0).rank() - 1));  // rstd
}
void run_rms_norm(const Call& c) {
  visit_float(c.in_spec(0).dtype, "rms_norm", [&]<class T> {
    const int64_t n = c.in_spec(0).shape.back(), rows = c.out_numel(1);
    const T eps = static_cast<T>(c.state<State>().eps);
    const T* gamma = c.in<T>(1);
    parallel_for(rows, grain(2 * n), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const T* x = c.in<T>(0) + r * n;
        T* y = c.out<T>(0) + r * n;
        const T rstd = 1 / std::sqrt(row_sum<T>(
                                         n, [](auto v) { return v * v; }, x) /
                                         static_cast<T>(n) +
                                     eps);
#pragma omp simd
        for (int64_t j = 0; j < n; ++j) y[j] = x[j] * rstd * gamma[j];
        c.out<T>(1)[r] = rstd;
      }
    });
  });
}
void grad_rms_norm(Grad& g) {
  refuse_statistics(g, "rms_norm", 1, 1);
  const auto d = g.graph().apply_all("rms_norm_grad", {g.dy(), g.x(0), g.x(1), g.y(1)}, {}, g.loc());
  for (int k = 0; k < 2; ++k) g.dx(k, d[static_cast<size_t>(k)]);
}

void infer_rms_norm_grad(Infer& i) {  // dy, x, gamma, rstd -> dx, dgamma
  i.expect_inputs(4);
  infer_rows(i, 1, 2, 2);
  i.expect_shape(0, i.shape(1));
  i.expect_shape(3, i.shape(1).without(i.shape(1).rank() - 1));
  i.out(i.in(1));
  i.out(i.in(2));
}
void run_rms_norm_grad(const Call& c) {
  visit_float(c.in_spec(0).dtype, "rms_norm_grad", [&]<class T> {
    const int64_t n = c.in_spec(1).shape.back();
    const T *gamma = c.in<T>(2), *rstd = c.in<T>(3);
    rows_with_sums<1, T>(rows_of(*c.spec), n, c.scratch_as<T>(), {c.out<T>(1)}, [&](int64_t r, T* dgamma) {
      const T *dy = c.in<T>(0) + r * n, *x = c.in<T>(1) + r * n, s = rstd[r];
      T* dx = c.out<T>(0) + r * n;
      const auto product = [s](auto d, auto g, auto v) { return d * g * (v * s); };
      const T b = row_sum<T>(n, product, dy, gamma, x) / static_cast<T>(n);
#pragma omp simd
      for (int64_t j = 0; j < n; ++j) {
        const T d = dy[j], z = x[j] * s;
        dgamma[j] += d * z;
        dx[j] = s * (d * gamma[j] - z * b);
      }
    });
  });
}

Cost cost(const NodeSpec& n) {
  double bytes = 0, largest = 0;
  for (const auto* list : {&n.in, &n.out})
    for (const TensorSpec& s : *list) {
      bytes += static_cast<double>(s.bytes());
      largest = std::max(largest, static_cast<double>(s.shape.numel()));
    }
  return {8 * largest, bytes};
}

// x of the given shape (and dy where there is one), parameters of its width, statistics by row.
std::vector<Arg> arguments(const Shape& x, bool gradient, int parameters, int statistics) {
  std::vector<Arg> in(gradient ? 2 : 1, f32(x));
  for (int k = 0; k < parameters; ++k) in.push_back(f32({x.back()}));
  for (int k = 0; k < statistics; ++k) in.push_back(fixed(f32(x.without(x.rank() - 1), Fill::uniform(0.5, 1.5))));
  return in;
}
void samples(Samples& s, bool gradient, int parameters, int statistics) {
  const Attrs eps{{"eps", 1e-5}};
  const auto add = [&](const std::string& name, const Shape& x, bool grad, bool bench) {
    const bool no_terms = gradient && x.numel() == 0;  // the parameters' gradients are zero
    s.add({.name = name,
           .in = arguments(x, gradient, parameters, statistics),
           .attrs = gradient ? Attrs{} : eps,
           .grad = grad,
           .bench = bench,
           .constant_ok = no_terms});
  };
  add("rows", {5, 37}, true, false);
  add("vector", {9}, true, false);
  add("rank_three", {2, 3, 16}, true, false);
  add("two_columns", {4, 2}, true, false);
  add("no_rows", {0, 4}, true, false);
  add("blocks", {150, 33}, false, false);
  for (const int64_t n : {300, 400, 700, 900, 1027, 1540, 4099, 4100, 16388})
    add(fmt::format("width_{}", n), {n > 2000 ? 1 : 3, n}, false, false);
  if (gradient) {  // more rows than there are blocks
    add("many_rows", {2200, 33}, false, false);
    add("many_wide_rows", {540, 129}, false, false);
  }
  add("bench", {2048, 1024}, false, true);
  auto wide = arguments({5, 3}, gradient, parameters, statistics);
  wide[gradient ? 2 : 1].spec.shape = {4};
  s.add({.name = "gamma", .in = wide, .attrs = eps, .throws = "is [4], expected [3]"});
  auto none = arguments({5, 0}, gradient, parameters, statistics);
  s.add({.name = "no_columns", .in = none, .attrs = eps, .throws = "x [5, 0] has no rows of elements"});
}
void samples_forward(Samples& s, int parameters) {
  samples(s, false, parameters, 0);
  auto one = arguments({7, 1}, false, parameters, 0), far = arguments({3, 64}, false, parameters, 0), bad = one;
  s.add({.name = "one_column", .in = one, .attrs = {{"eps", 1e-5}}, .constant_ok = true});
  far[0].fill = Fill::uniform(99, 101);  // mean^2 / variance = 3e4
  s.add({.name = "far_from_zero", .in = far, .attrs = {{"eps", 1e-5}}, .grad = false, .integers = false});
  s.add({.name = "eps", .in = bad, .attrs = {{"eps", -1.0}}, .throws = "eps is -1"});
}
void samples_layer_norm(Samples& s) { samples_forward(s, 2); }
void samples_layer_norm_grad(Samples& s) { samples(s, true, 1, 2); }
void samples_rms_norm(Samples& s) { samples_forward(s, 1); }
void samples_rms_norm_grad(Samples& s) { samples(s, true, 1, 1); }

}  // namespace

void register_norm(Registry& r) {
  // The mean of a row far from zero keeps eps * |mean|, which the small deviations see enlarged.
  const Tolerance forward{.ulp = 16, .sum = 64}, gradient{.ulp = 16, .sum = 64};
  r.add({.name = "layer_norm",
         .doc = "y, mean, rstd: y = (x - mean) * rstd * gamma + beta over the last axis; attr eps",
         .infer = infer_layer_norm,
         .grad = grad_layer_norm,
         .cost = cost,
         .samples = samples_layer_norm,
         .tolerance = forward,
         .kernels = {{.name = "reference", .prepare = prepare, .run = run_layer_norm}},
         .inplace = {{0, 0}}});
  r.add({.name = "layer_norm_grad",
         .doc = "dx, dgamma, dbeta of layer_norm from (dy, x, gamma, mean, rstd)",
         .infer = infer_layer_norm_grad,
         .no_grad = "first-order only",
         .cost = cost,
         .samples = samples_layer_norm_grad,
         .tolerance = gradient,
         .kernels = {{.name = "reference", .prepare = prepare_grad<2>, .run = run_layer_norm_grad}},
         .inplace = {{0, 0}}});
  r.add({.name = "rms_norm",
         .doc = "y, rstd: y = x * rstd * gamma, rstd = 1 / sqrt(mean(x^2) + attr eps) over the last axis",
         .infer = infer_rms_norm,
         .grad = grad_rms_norm,
         .cost = cost,
         .samples = samples_rms_norm,
         .tolerance = forward,
         .kernels = {{.name = "reference", .prepare = prepare, .run = run_rms_norm}},
         .inplace = {{0, 0}}});
  r.add({.name = "rms_norm_grad",
         .doc = "dx, dgamma of rms_norm from (dy, x, gamma, rstd)",
         .infer = infer_rms_norm_grad,
         .no_grad = "first-order only",
         .cost = cost,
         .samples = samples_rms_norm_grad,
         .tolerance = gradient,
         .kernels = {{.name = "reference", .prepare = prepare_grad<1>, .run = run_rms_norm_grad}},
         .inplace = {{0, 0}}});
}

}  // namespace winnow
