// max and min over axes. Their gradient goes to the first extremal element (the first NaN where there is one).
#include "core/parallel.h"
#include "core/samples.h"
#include "ops/detail/grain.h"
#include "ops/detail/lanes.h"
#include "ops/detail/reduction.h"
#include "ops/reduce.h"

namespace winnow {

using namespace detail;

Value max(Value x, const AxisList& axes, bool keepdims, Loc loc) {
  return x.graph->apply("max", {x}, reduction_attrs(axes, keepdims), loc);
}
Value min(Value x, const AxisList& axes, bool keepdims, Loc loc) {
  return x.graph->apply("min", {x}, reduction_attrs(axes, keepdims), loc);
}

namespace {

constexpr int64_t kBlock = 4096;

struct State {
  Axes axes;
  int64_t blocks = 1;
};

void infer(Infer& i) { infer_reduction(i, true); }

Axes axes_of(const NodeSpec& n, size_t x) { return merge_axes(n.in[x].shape, parse_axes(n.in[x].shape, n.attrs)); }

const char* reject_rows(const NodeSpec& n, const DeviceInfo&) {
  if (n.in[0].dtype != DType::F32) return "f32 only";
  const Axes a = axes_of(n, 0);
  return a.blocked && a.inner == 1 ? nullptr : "reduces trailing axes only";
}
void prepare_rows(const NodeSpec& n, Prepare& p) {
  State& s = p.state<State>();
  s.axes = axes_of(n, 0);
  s.blocks = std::max<int64_t>(1, (s.axes.terms + kBlock - 1) / kBlock);
  if (s.blocks > 1) p.scratch(static_cast<size_t>(s.axes.outer * s.blocks) * sizeof(float));
}
template <bool kMax>
void run_rows(const Call& c) {
  const State& s = c.state<State>();
  const int64_t terms = s.axes.terms, blocks = s.blocks;
  const float* x = c.in<float>(0);
  float* y = c.out<float>(0);
  float* partial = blocks == 1 ? y : c.scratch_as<float>();
  parallel_for(s.axes.outer * blocks, grain(std::min(kBlock, terms)), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t first = i % blocks * kBlock;
      partial[i] = row_extremum<kMax>(std::min(kBlock, terms - first), x + i / blocks * terms + first);
    }
  });
  if (blocks == 1) return;
  parallel_for(s.axes.outer, grain(blocks), [&](int64_t begin, int64_t end) {
    for (int64_t o = begin; o < end; ++o) y[o] = row_extremum<kMax>(blocks, partial + o * blocks);
  });
}

const char* reject_columns(const NodeSpec& n, const DeviceInfo&) {
  if (n.in[0].dtype != DType::F32) return "f32 only";
  return axes_of(n, 0).blocked ? nullptr : "reduces neighbouring axes only";
}
void prepare_columns(const NodeSpec& n, Prepare& p) { p.state<State>().axes = axes_of(n, 0); }
template <bool kMax>
void run_columns(const Call& c) {
  constexpr int64_t kTile = 256;
  const Axes& axes = c.state<State>().axes;
  const int64_t terms = axes.terms, inner = axes.inner, tiles = (inner + kTile - 1) / kTile;
  const float* x = c.in<float>(0);
  float* y = c.out<float>(0);
  parallel_for(axes.outer * tiles, grain(terms * std::min(kTile, inner)), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t column = i % tiles * kTile, o = i / tiles, width = std::min(kTile, inner - column);
      const float* from = x + o * terms * inner + column;
      float* best = y + o * inner + column;
      std::memcpy(best, from, static_cast<size_t>(width) * sizeof(float));
      for (int64_t t = 1; t < terms; ++t)
        for (int64_t j = 0; j < width; ++j) best[j] = pick<kMax, float>(best[j], from[t * inner + j]);
    }
  });
}

template <bool kMax>
void run_reference(const Call& c) {
  visit_float(c.in_spec(0).dtype, "max", [&]<class T> {
    const Axes& axes = c.state<State>().axes;
    const T* x = c.in<T>(0);
    T* y = c.out<T>(0);
    parallel_for(axes.outputs, grain(axes.terms), [&](int64_t begin, int64_t end) {
      for (int64_t o = begin; o < end; ++o) {
        const T* from = x + axes.output_offset(o);
        T best = from[0];
        for (int64_t t = 1; t < axes.terms; ++t) best = pick<kMax, T>(best, from[axes.term_offset(t)]);
        y[o] = best;
      }
    });
  });
}

// dx of (dy, x, y); attrs as recorded with the reduction.
void infer_grad(Infer& i) {
  i.expect_inputs(3);
  i.expect_dtype(0, {DType::F32, DType::F64});
  i.expect_same_dtype(0, 2);
  check_axes(i, i.shape(1));
  const int64_t outputs = kept_shape(i.shape(1), i.attrs()).numel();
  i.check(i.shape(0) == i.shape(2) && i.shape(0).numel() == outputs, "dy {} and y {} do not belong to x {}",
          i.shape(0).str(), i.shape(2).str(), i.shape(1).str());
  i.out(i.in(1));
}
void prepare_grad(const NodeSpec& n, Prepare& p) { p.state<State>().axes = axes_of(n, 1); }
void run_grad(const Call& c) {
  visit_float(c.in_spec(0).dtype, "max_grad", [&]<class T> {
    const Axes& axes = c.state<State>().axes;
    const T *dy = c.in<T>(0), *x = c.in<T>(1), *y = c.in<T>(2);
    T* dx = c.out<T>(0);
    const bool contiguous = axes.blocked;
    parallel_for(axes.outputs, grain(axes.terms), [&](int64_t begin, int64_t end) {
      for (int64_t o = begin; o < end; ++o) {
        const int64_t base = axes.output_offset(o);
        T left = dy[o];
        for (int64_t t = 0; t < axes.terms; ++t) {
          const int64_t at = base + (contiguous ? t * axes.inner : axes.term_offset(t));
          const bool first = x[at] == y[o] || x[at] != x[at];
          dx[at] = first ? left : T(0);
          if (first) left = 0;
        }
      }
    });
  });
}

template <bool kMax>
void grad(Grad& g) {
  g.dx(0, g.apply(kMax ? "max_grad" : "min_grad", {g.dy(), g.x(0), g.y()}, g.attrs()));
}

// Distinct values, so that no tie turns a finite difference into half a gradient.
Fill distinct(int64_t n) {
  std::vector<double> v;
  for (int64_t i = 0; i < n; ++i) v.push_back(static_cast<double>(i * 37 % n) * 0.25 - 3);
  return Fill::of(v);
}
void samples(Samples& s) {
  const double inf = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();
  s.add({.name = "all", .in = {f32({7, 5}, distinct(35))}})
      .add({.name = "scalar", .in = {f32({})}})
      .add({.name = "rows", .in = {f32({5, 41}, distinct(205))}, .attrs = reduction_attrs({-1}, true)})
      .add({.name = "columns", .in = {f32({13, 5}, distinct(65))}, .attrs = reduction_attrs({0}, false)})
      .add({.name = "middle", .in = {f32({3, 7, 9}, distinct(189))}, .attrs = reduction_attrs({1}, false)})
      .add({.name = "apart", .in = {f32({4, 3, 5}, distinct(60))}, .attrs = reduction_attrs({0, 2}, false)})
      .add({.name = "extremes",
            .in = {f32({2, 3}, Fill::of({-inf, -3e38, -1, inf, 0, 3e38}))},
            .attrs = reduction_attrs({1}, false),
            .grad = false})
      .add({.name = "nan",
            .in = {f32({2, 3}, Fill::of({1, nan, 2, -3, -2, -1}))},
            .attrs = reduction_attrs({1}, false),
            .grad = false})
      .add({.name = "no_outputs", .in = {f32({0, 4})}, .attrs = reduction_attrs({1}, false)})
      .add({.name = "wide", .in = {f32({3, 9001})}, .attrs = reduction_attrs({1}, false), .grad = false})
      .add({.name = "wide_even", .in = {f32({2, 8200})}, .attrs = reduction_attrs({1}, false), .grad = false})
      .add({.name = "high", .in = {f32({700, 12})}, .attrs = reduction_attrs({0}, false), .grad = false})
      .add({.name = "wide_apart", .in = {f32({40, 3, 220})}, .attrs = reduction_attrs({0, 2}, false), .grad = false})
      .add({.name = "high_apart", .in = {f32({40, 3, 5, 4})}, .attrs = reduction_attrs({0, 2}, false), .grad = false})
      .add({.name = "bench_rows",
            .in = {f32({2048, 1024})},
            .attrs = reduction_attrs({1}, false),
            .grad = false,
            .bench = true})
      .add({.name = "bench_pool",
            .in = {f32({256, 50, 64})},
            .attrs = reduction_attrs({1}, false),
            .grad = false,
            .bench = true})
      .add({.name = "no_terms",
            .in = {f32({3, 0})},
            .attrs = reduction_attrs({1}, false),
            .throws = "[3, 0] has no elements to reduce"})
      .add({.name = "axis_range",
            .in = {f32({3, 4})},
            .attrs = reduction_attrs({-3}, false),
            .throws = "axis -3 is out of range for [3, 4]"});
}
// Three rows whose extremum is the given one, with a tie in the last.
void samples_grad_of(Samples& s, double sign) {
  std::vector<double> x{1, 5, 2, 4, 9, 3, 7, 0, 7}, y{5, 9, 7};
  for (double& v : x) v *= sign;
  for (double& v : y) v *= sign;
  std::vector<double> with_nan = x;
  with_nan[4] = std::numeric_limits<double>::quiet_NaN();
  const auto rows = reduction_attrs({1}, false), columns = reduction_attrs({0}, false);
  s.add({.name = "rows",
         .in = {f32({3}), fixed(f32({3, 3}, Fill::of(x))), fixed(f32({3}, Fill::of(y)))},
         .attrs = rows,
         .grad = false,
         .constant_ok = true})
      .add({.name = "one",
            .in = {f32({1}), fixed(f32({1, 1}, Fill::of({2}))), fixed(f32({1}, Fill::of({2})))},
            .attrs = columns,
            .grad = false})
      .add({.name = "empty", .in = {f32({0}), f32({0, 3}), f32({0})}, .attrs = rows, .grad = false})
      .add({.name = "columns with a NaN",
            .in = {f32({3}), fixed(f32({3, 3}, Fill::of(with_nan))), fixed(f32({3}, Fill::of(y)))},
            .attrs = columns,
            .grad = false,
            .integers = false,
            .constant_ok = true})
      .add({.name = "wide",
            .in = {f32({2}), fixed(f32({2, 8200}, distinct(16400))), fixed(f32({2}, Fill::of({0.25, 1})))},
            .attrs = rows,
            .grad = false,
            .constant_ok = true})
      .add({.name = "apart",
            .in = {f32({3, 4}), fixed(f32({40, 3, 5, 4}, distinct(2400))), fixed(f32({3, 4}, Fill::integers(0, 3)))},
            .attrs = reduction_attrs({0, 2}, false),
            .grad = false,
            .constant_ok = true})
      .add({.name = "shapes",
            .in = {f32({3}), f32({3, 3}), f32({2})},
            .attrs = rows,
            .throws = "do not belong to x [3, 3]"});
}
void samples_max_grad(Samples& s) { samples_grad_of(s, 1); }
void samples_min_grad(Samples& s) { samples_grad_of(s, -1); }

template <bool kMax>
void add(Registry& r, const char* doc, const char* grad_doc) {
  r.add(
      {.name = kMax ? "max" : "min",
       .doc = doc,
       .infer = infer,
       .grad = grad<kMax>,
       .samples = samples,
       .tolerance = {.ulp = 0, .exact_integers = true},
       .kernels = {{.name = "rows", .reject = reject_rows, .prepare = prepare_rows, .run = run_rows<kMax>},
                   {.name = "columns", .reject = reject_columns, .prepare = prepare_columns, .run = run_columns<kMax>},
                   {.name = "reference", .prepare = prepare_columns, .run = run_reference<kMax>}}});
  r.add({.name = kMax ? "max_grad" : "min_grad",
         .doc = grad_doc,
         .infer = infer_grad,
         .no_grad = "first-order only",
         .samples = kMax ? samples_max_grad : samples_min_grad,
         .tolerance = {.ulp = 0, .exact_integers = true},
         .kernels = {{.name = "reference", .prepare = prepare_grad, .run = run_grad}}});
}

}  // namespace

void register_extremum(Registry& r) {
  add<true>(r, "y = largest of x over attr axes (all when empty); attr keepdims",
            "dx of max from (dy, x, y): to the first largest");
  add<false>(r, "y = smallest of x over attr axes (all when empty); attr keepdims",
             "dx of min from (dy, x, y): to the first smallest");
}

}  // namespace winnow
