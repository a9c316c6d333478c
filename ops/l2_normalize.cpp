// l2_normalize: one thread has a row.
#include "ops/l2_normalize.h"

#include <cmath>

#include "core/parallel.h"
#include "core/samples.h"
#include "ops/detail/grain.h"
#include "ops/detail/lanes.h"

namespace winnow {

using namespace detail;

Value l2_normalize(Value x, double eps, Loc loc) { return x.graph->apply("l2_normalize", {x}, {{"eps", eps}}, loc); }

namespace {

struct State {
  double eps;
};
void prepare(const NodeSpec& n, Prepare& p) { p.state<State>().eps = n.attrs.number("eps"); }

void check_rows(const Infer& i, int x) {
  i.expect_dtype(0, {DType::F32, DType::F64});
  i.expect_same_dtype(0, i.inputs() - 1);
  i.check(i.shape(x).rank() > 0 && i.shape(x).back() > 0, "x {} has no rows of elements", i.shape(x).str());
  const double eps = i.attrs().number("eps");
  i.check(eps > 0 && eps < 1, "eps is {}, must be in (0, 1)", eps);
}
void infer(Infer& i) {
  i.expect_inputs(1);
  check_rows(i, 0);
  i.out(i.in(0));
  i.out(i.dtype(0), i.shape(0).without(i.shape(0).rank() - 1));  // 1 / max(|x|, eps)
}
void run(const Call& c) {
  visit_float(c.in_spec(0).dtype, "l2_normalize", [&]<class T> {
    const int64_t n = c.in_spec(0).shape.back();
    const T eps = static_cast<T>(c.state<State>().eps);
    parallel_for(c.out_numel(1), grain(2 * n), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const T* x = c.in<T>(0) + r * n;
        T* y = c.out<T>(0) + r * n;
        const auto square = [](auto v) { return v * v; };
        const T norm = std::sqrt(row_sum<T>(n, square, x)), inverse = 1 / (norm <= eps ? eps : norm);
#pragma omp simd
        for (int64_t j = 0; j < n; ++j) y[j] = x[j] * inverse;
        c.out<T>(1)[r] = inverse;
      }
    });
  });
}
void grad(Grad& g) {
  WN_CHECK(!g.dy(1), Error, "l2_normalize(): output 1 is a saved statistic and has no gradient ({})",
           at_source(g.loc()));
  g.dx(0, g.graph().apply_all("l2_normalize_grad", {g.dy(), g.y(0), g.y(1)}, g.attrs(), g.loc())[0]);
}

void infer_grad(Infer& i) {  // dy, y, 1 / max(|x|, eps) -> dx
  i.expect_inputs(3);
  check_rows(i, 1);
  i.expect_shape(0, i.shape(1));
  i.expect_shape(2, i.shape(1).without(i.shape(1).rank() - 1));
  i.out(i.in(1));
}
void run_grad(const Call& c) {
  visit_float(c.in_spec(0).dtype, "l2_normalize_grad", [&]<class T> {
    const int64_t n = c.in_spec(1).shape.back();
    const T limit = 1 / static_cast<T>(c.state<State>().eps);
    parallel_for(c.in_numel(2), grain(2 * n), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const T *dy = c.in<T>(0) + r * n, *y = c.in<T>(1) + r * n, inverse = c.in<T>(2)[r];
        T* dx = c.out<T>(0) + r * n;
        const auto product = [](auto a, auto b) { return a * b; };
        const T along = inverse >= limit ? T(0) : row_sum<T>(n, product, dy, y);
#pragma omp simd
        for (int64_t j = 0; j < n; ++j) dx[j] = inverse * (dy[j] - y[j] * along);
      }
    });
  });
}

void samples(Samples& s, bool gradient) {
  const Attrs eps{{"eps", 1e-6}};
  const auto arguments = [&](const Shape& x) {
    std::vector<Arg> in(gradient ? 2 : 1, f32(x));
    if (gradient) in.push_back(f32(x.rank() > 0 ? x.without(x.rank() - 1) : x, Fill::uniform(0.2, 2)));
    return in;
  };
  const auto add = [&](const std::string& name, const Shape& x, Sample more = {}) {
    more.name = name;
    more.in = arguments(x);
    more.attrs = eps;
    more.grad = !gradient && more.grad;
    s.add(std::move(more));
  };
  add("rows", {5, 37});
  add("vector", {9});
  add("rank_three", {2, 3, 16});
  add("two_columns", {4, 2});
  add("one_column", {7, 1}, {.grad = false, .constant_ok = true});
  add("no_rows", {0, 4}, {.constant_ok = true});
  for (const int64_t n : {400, 900, 1027, 1540, 4099}) add(fmt::format("width_{}", n), {2, n}, {.grad = false});
  add("bench", {2048, 384}, {.grad = false, .bench = true});
  s.add({.name = "no_columns", .in = arguments({5, 0}), .attrs = eps, .throws = "has no rows of elements"});
  s.add({.name = "eps", .in = arguments({5, 3}), .attrs = {{"eps", 0.0}}, .throws = "eps is 0"});
}
void samples_forward(Samples& s) {
  samples(s, false);
  s.add({.name = "zero_row",
         .in = {f32({3, 2}, Fill::of({0, 0, 3, -4, 1e-9, 0}))},
         .attrs = {{"eps", 1e-6}},
         .grad = false,
         .integers = false});
}
void samples_gradient(Samples& s) {
  samples(s, true);
  s.add({.name = "zero_row",
         .in = {f32({2, 2}), f32({2, 2}, Fill::of({0, 0, 0.6, -0.8})), f32({2}, Fill::of({1e6, 0.2}))},
         .attrs = {{"eps", 1e-6}},
         .grad = false,
         .integers = false});
}

}  // namespace

void register_l2_normalize(Registry& r) {
  r.add({.name = "l2_normalize",
         .doc = "y, inverse: y = x * inverse, inverse = 1 / max(|x|, attr eps) over the last axis",
         .infer = infer,
         .grad = grad,
         .samples = samples_forward,
         .tolerance = {.ulp = 8},
         .kernels = {{.name = "reference", .prepare = prepare, .run = run}},
         .inplace = {{0, 0}}});
  r.add({.name = "l2_normalize_grad",
         .doc = "dx = inverse * (dy - y <y, dy>), without the last term where |x| <= eps; from (dy, y, inverse)",
         .infer = infer_grad,
         .no_grad = "first-order only",
         .samples = samples_gradient,
         .tolerance = {.ulp = 16, .sum = 64},
         .kernels = {{.name = "reference", .prepare = prepare, .run = run_grad}},
         .inplace = {{0, 0}}});
}

}  // namespace winnow
