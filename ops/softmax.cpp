// softmax, log_softmax and logsumexp over rows, and their gradients. The row loops vectorise for float (core/math.h);
// sums of exponentials are taken in blocks of kBlock and added in double, so that long rows lose nothing.
#include "ops/softmax.h"

#include "core/math.h"
#include "core/parallel.h"
#include "core/samples.h"
#include "ops/detail/grain.h"
#include "ops/detail/lanes.h"

namespace winnow {

using namespace detail;

Value softmax(Value x, Loc loc) { return x.graph->apply("softmax", {x}, {}, loc); }
Value log_softmax(Value x, Loc loc) { return x.graph->apply("log_softmax", {x}, {}, loc); }
Value logsumexp(Value x, bool keepdims, Loc loc) {
  return x.graph->apply("logsumexp", {x}, {{"keepdims", int64_t{keepdims}}}, loc);
}

namespace {

constexpr int64_t kBlock = 2048;
template <class T>
constexpr T kInf = std::numeric_limits<T>::infinity();

void infer_rows(Infer& i) {
  i.expect_inputs(1);
  i.expect_dtype(0, {DType::F32, DType::F64});
  i.check(i.shape(0).rank() > 0, "x is a scalar, it has no last axis");
  i.out(i.in(0));
}
void infer_grad(Infer& i) {
  i.expect_inputs(2);
  i.expect_dtype(0, {DType::F32, DType::F64});
  i.expect_same_dtype(0, 1);
  i.check(i.shape(0).rank() > 0, "dy is a scalar, it has no last axis");
  i.expect_shape(1, i.shape(0));
  i.out(i.in(0));
}

// f(row, n) for each row of the given operand.
template <class F>
void each_row(const TensorSpec& spec, F&& f) {
  const int64_t n = spec.shape.back();
  if (n == 0) return;
  parallel_for(spec.shape.numel() / n, grain(4 * n), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) f(r, n);
  });
}

// sum of e^(x - top); y, where given, takes the terms.
template <bool kKeep, class T>
double sum_exp(int64_t n, const T* x, T top, T* y) {
  double total = 0;
  for (int64_t first = 0; first < n; first += kBlock) {
    const int64_t last = std::min(n, first + kBlock);
    T sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t j = first; j < last; ++j) {
      const T e = math::exp(x[j] - top);
      if constexpr (kKeep) y[j] = e;
      sum += e;
    }
    total += static_cast<double>(sum);
  }
  return total;
}

template <class T>
T log_sum_exp(int64_t n, const T* x) {
  const T top = row_extremum<true>(n, x);
  if (top == kInf<T> || top == -kInf<T>) return top;
  return static_cast<T>(static_cast<double>(top) + std::log(sum_exp<false, T>(n, x, top, nullptr)));
}

void run_softmax(const Call& c) {
  visit_float(c.in_spec(0).dtype, "softmax", [&]<class T> {
    each_row(c.in_spec(0), [&](int64_t r, int64_t n) {
      const T* x = c.in<T>(0) + r * n;
      T* y = c.out<T>(0) + r * n;
      const T top = row_extremum<true>(n, x);
      if (top == -kInf<T>) {
        std::fill(y, y + n, T(0));
        return;
      }
      const T scale = static_cast<T>(1 / sum_exp<true>(n, x, top, y));
      for (int64_t j = 0; j < n; ++j) y[j] *= scale;
    });
  });
}
void run_softmax_grad(const Call& c) {
  visit_float(c.in_spec(0).dtype, "softmax_grad", [&]<class T> {
    each_row(c.in_spec(0), [&](int64_t r, int64_t n) {
      const T *dy = c.in<T>(0) + r * n, *y = c.in<T>(1) + r * n;
      T* dx = c.out<T>(0) + r * n;
      const T dot = row_sum<T>(
          n, [](auto a, auto b) { return a * b; }, dy, y);
#pragma omp simd
      for (int64_t j = 0; j < n; ++j) dx[j] = y[j] * (dy[j] - dot);
    });
  });
}

void run_log_softmax(const Call& c) {
  visit_float(c.in_spec(0).dtype, "log_softmax", [&]<class T> {
    each_row(c.in_spec(0), [&](int64_t r, int64_t n) {
      const T* x = c.in<T>(0) + r * n;
      T* y = c.out<T>(0) + r * n;
      const T top = row_extremum<true>(n, x);
      if (top == -kInf<T>) {
        std::fill(y, y + n, top);
        return;
      }
      const T rest = static_cast<T>(std::log(sum_exp<false, T>(n, x, top, nullptr)));
#pragma omp simd
      for (int64_t j = 0; j < n; ++j) y[j] = (x[j] - top) - rest;
    });
  });
}
void run_log_softmax_grad(const Call& c) {
  visit_float(c.in_spec(0).dtype, "log_softmax_grad", [&]<class T> {
    each_row(c.in_spec(0), [&](int64_t r, int64_t n) {
      const T *dy = c.in<T>(0) + r * n, *y = c.in<T>(1) + r * n;
      T* dx = c.out<T>(0) + r * n;
      const T sum = row_sum(n, dy);
#pragma omp simd
      for (int64_t j = 0; j < n; ++j) dx[j] = dy[j] - math::exp(y[j]) * sum;
    });
  });
}

void infer_logsumexp(Infer& i) {
  i.expect_inputs(1);
  i.expect_dtype(0, {DType::F32, DType::F64});
  const Shape& x = i.shape(0);
  i.check(x.rank() > 0, "x is a scalar, it has no last axis");
  i.check(x.back() > 0, "the rows of {} have no elements", x.str());
  i.out(i.dtype(0), i.attrs().flag("keepdims") ? x.with(x.rank() - 1, 1) : x.without(x.rank() - 1));
}
void run_logsumexp(const Call& c) {
  visit_float(c.in_spec(0).dtype, "logsumexp", [&]<class T> {
    T* y = c.out<T>(0);
    each_row(c.in_spec(0), [&](int64_t r, int64_t n) { y[r] = log_sum_exp(n, c.in<T>(0) + r * n); });
  });
}
void infer_logsumexp_grad(Infer& i) {
  i.expect_inputs(3);
  i.expect_dtype(0, {DType::F32, DType::F64});
  i.expect_same_dtype(0, 2);
  const Shape& x = i.shape(1);
  i.check(x.rank() > 0 && x.back() > 0, "x {} has no rows of elements", x.str());
  i.check(i.shape(0) == i.shape(2) && i.shape(0).numel() == x.outer(x.rank() - 1),
          "dy {} and y {} do not belong to x {}", i.shape(0).str(), i.shape(2).str(), x.str());
  i.out(i.in(1));
}
void run_logsumexp_grad(const Call& c) {
  visit_float(c.in_spec(0).dtype, "logsumexp_grad", [&]<class T> {
    each_row(c.in_spec(1), [&](int64_t r, int64_t n) {
      const T dy = c.in<T>(0)[r], y = c.in<T>(2)[r], *x = c.in<T>(1) + r * n;
      T* dx = c.out<T>(0) + r * n;
      if (y == -kInf<T>) {
        std::fill(dx, dx + n, T(0));
        return;
      }
#pragma omp simd
      for (int64_t j = 0; j < n; ++j) dx[j] = dy * math::exp(x[j] - y);
    });
  });
}

void grad_softmax(Grad& g) { g.dx(0, g.apply("softmax_grad", {g.dy(), g.y()})); }
void grad_log_softmax(Grad& g) { g.dx(0, g.apply("log_softmax_grad", {g.dy(), g.y()})); }
void grad_logsumexp(Grad& g) { g.dx(0, g.apply("logsumexp_grad", {g.dy(), g.x(0), g.y()})); }

Cost cost(const NodeSpec& n) {  // about twenty operations an exponential
  double bytes = 0, largest = 0;
  for (const auto* list : {&n.in, &n.out})
    for (const TensorSpec& s : *list) {
      bytes += static_cast<double>(s.bytes());
      largest = std::max(largest, static_cast<double>(s.shape.numel()));
    }
  return {24 * largest, bytes};
}

const double kNegativeInf = -std::numeric_limits<double>::infinity();

void samples_rows(Samples& s) {
  const double i = kNegativeInf;
  s.add({.name = "rows", .in = {f32({5, 37})}})
      .add({.name = "vector", .in = {f32({9})}})
      .add({.name = "one_column", .in = {f32({7, 1})}, .constant_ok = true})
      .add({.name = "rank_three", .in = {f32({2, 3, 17})}})
      .add({.name = "wide_range", .in = {f32({3, 40}, Fill::uniform(-90, 90))}, .constant_ok = true})
      .add({.name = "masked",
            .in = {f32({2, 4}, Fill::of({1, i, 2, 0, i, i, i, i}))},
            .grad = false,
            .constant_ok = true})
      .add({.name = "huge",
            .in = {f32({2, 3}, Fill::of({3e38, -3e38, 2.9e38, -3e38, -3e38, -3e38}))},
            .grad = false,
            .constant_ok = true})
      .add({.name = "no_rows", .in = {f32({0, 4})}})
      .add({.name = "long_row", .in = {f32({2, 9001})}, .grad = false})
      .add({.name = "bench", .in = {f32({2048, 1024})}, .grad = false, .bench = true})
      .add({.name = "scalar", .in = {f32({})}, .throws = "x is a scalar"})
      .add({.name = "integers", .in = {i64({3}, Fill::integers(0, 9))}, .throws = "expected f32 or f64"});
}
constexpr int64_t kWidths[] = {400, 900, 1027, 1540, 16388};  // each another division of a row among threads
void samples_softmax(Samples& s) {
  samples_rows(s);
  for (const int64_t n : kWidths) s.add({.name = fmt::format("width_{}", n), .in = {f32({3, n})}, .grad = false});
  s.add({.name = "no_columns", .in = {f32({3, 0})}});
}
void samples_logsumexp(Samples& s) {
  samples_rows(s);
  for (const int64_t n : kWidths) s.add({.name = fmt::format("width_{}", n), .in = {f32({3, n})}, .grad = false});
  s.add({.name = "keepdims", .in = {f32({5, 8})}, .attrs = {{"keepdims", int64_t{1}}}})
      .add({.name = "no_columns", .in = {f32({3, 0})}, .throws = "the rows of [3, 0] have no elements"});
}
void samples_grad(Samples& s) {
  for (const int64_t n : kWidths)
    s.add({.name = fmt::format("width_{}", n),
           .in = {f32({3, n}), fixed(f32({3, n}, Fill::uniform(-9, 0)))},
           .grad = false});
  s.add({.name = "rows", .in = {f32({5, 37}), fixed(f32({5, 37}, Fill::uniform(-5, 0)))}})
      .add({.name = "one_column", .in = {f32({7, 1}), fixed(f32({7, 1}, Fill::uniform(-1, 0)))}})
      .add({.name = "no_rows", .in = {f32({0, 4}), fixed(f32({0, 4}))}})
      .add({.name = "bench",
            .in = {f32({2048, 1024}), fixed(f32({2048, 1024}, Fill::uniform(-9, 0)))},
            .grad = false,
            .bench = true})
      .add({.name = "shapes", .in = {f32({5, 3}), f32({5, 4})}, .throws = "input 1 is [5, 4], expected [5, 3]"})
      .add({.name = "scalar", .in = {f32({}), f32({})}, .throws = "dy is a scalar"});
}
void samples_logsumexp_grad(Samples& s) {
  const double i = kNegativeInf;
  for (const int64_t n : kWidths)
    s.add({.name = fmt::format("width_{}", n),
           .in = {f32({3}), f32({3, n}), fixed(f32({3}, Fill::uniform(6, 8)))},
           .grad = false});
  s.add({.name = "rows", .in = {f32({5}), f32({5, 37}), fixed(f32({5}, Fill::uniform(3, 5)))}})
      .add({.name = "keepdims", .in = {f32({5, 1}), f32({5, 3}), fixed(f32({5, 1}, Fill::uniform(3, 5)))}})
      .add({.name = "masked",
            .in = {f32({2}), f32({2, 2}, Fill::of({i, i, 0, i})), fixed(f32({2}, Fill::of({i, 0})))},
            .grad = false,
            .constant_ok = true})
      .add({.name = "bench",
            .in = {f32({2048}), f32({2048, 1024}), fixed(f32({2048}, Fill::uniform(6, 8)))},
            .grad = false,
            .bench = true})
      .add({.name = "shapes", .in = {f32({4}), f32({5, 3}), f32({5})}, .throws = "do not belong to x [5, 3]"});
}

std::vector<KernelDef> kernel(void (*run)(const Call&)) { return {{.name = "reference", .run = run}}; }

}  // namespace

void register_softmax(Registry& r) {
  const Tolerance tolerance{.ulp = 16, .sum = 8}, sums{.ulp = 16, .sum = 32};
  r.add({.name = "softmax",
         .doc = "y_j = e^x_j / sum_k e^x_k over the last axis",
         .infer = infer_rows,
         .grad = grad_softmax,
         .cost = cost,
         .samples = samples_softmax,
         .tolerance = tolerance,
         .kernels = kernel(run_softmax),
         .inplace = {{0, 0}}});
  r.add({.name = "softmax_grad",
         .doc = "dx = y * (dy - sum(dy * y)) over the last axis",
         .infer = infer_grad,
         .no_grad = "first-order only",
         .cost = cost,
         .samples = samples_grad,
         .tolerance = sums,
         .kernels = kernel(run_softmax_grad),
         .inplace = {{0, 0}, {1, 0}}});
  r.add({.name = "log_softmax",
         .doc = "y_j = x_j - log sum_k e^x_k over the last axis",
         .infer = infer_rows,
         .grad = grad_log_softmax,
         .cost = cost,
         .samples = samples_softmax,
         .tolerance = tolerance,
         .kernels = kernel(run_log_softmax),
         .inplace = {{0, 0}}});
  r.add({.name = "log_softmax_grad",
         .doc = "dx = dy - e^y * sum(dy) over the last axis",
         .infer = infer_grad,
         .no_grad = "first-order only",
         .cost = cost,
         .samples = samples_grad,
         .tolerance = sums,
         .kernels = kernel(run_log_softmax_grad),
         .inplace = {{0, 0}, {1, 0}}});
  r.add({.name = "logsumexp",
         .doc = "y = log sum_k e^x_k over the last axis; attr keepdims",
         .infer = infer_logsumexp,
         .grad = grad_logsumexp,
         .cost = cost,
         .samples = samples_logsumexp,
         .tolerance = tolerance,
         .kernels = kernel(run_logsumexp)});
  r.add({.name = "logsumexp_grad",
         .doc = "dx = dy * e^(x - y); (dy, x, y) of logsumexp",
         .infer = infer_logsumexp_grad,
         .no_grad = "first-order only",
         .cost = cost,
         .samples = samples_logsumexp_grad,
         .tolerance = tolerance,
         .kernels = kernel(run_logsumexp_grad),
         .inplace = {{1, 0}}});
}

}  // namespace winnow
