// add_layer_norm and its gradient. Contract: ops/norm.h. The mean and the deviation of a row are taken again in the
// gradient rather than saved: the row is in L1 there, and both outputs stay differentiable.
#include <cmath>

#include "core/samples.h"
#include "ops/detail/block_sums.h"
#include "ops/detail/dropout_rows.h"
#include "ops/detail/moments.h"
#include "ops/norm.h"

namespace winnow {

using namespace detail;

AddNorm add_layer_norm(Value x, Value z, Value gamma, Value beta, const AddNormOptions& o, Loc loc) {
  WN_CHECK(o.dropout >= 0 && o.dropout < 1, ShapeError, "add_layer_norm(): dropout {} is not in [0, 1) ({})", o.dropout,
           at_source(loc));
  WN_CHECK(o.dropout == 0 || o.step, ShapeError, "add_layer_norm(): dropout needs the step ({})", at_source(loc));
  Graph& graph = *x.graph;
  std::vector<Value> in = {x, z, gamma, beta};
  if (o.dropout > 0) in.push_back(o.step);
  Attrs attrs = {{"eps", o.eps},
                 {"p", o.dropout},
                 {"seed", o.dropout > 0 ? static_cast<int64_t>(graph.seed()) : 0},
                 {"stream", o.dropout > 0 ? graph.next_random_stream() : 0}};
  const auto out = graph.apply_all("add_layer_norm", in, std::move(attrs), loc);
  return {out[0], out[1]};
}

namespace {

struct State {
  RowDropout drop;
  double eps;
  int64_t rows, n;
  State(const NodeSpec& node, size_t x)
      : drop(node),
        eps(node.attrs.number("eps")),
        rows(node.in[x].shape.outer(node.in[x].shape.rank() - 1)),
        n(node.in[x].shape.back()) {}
};

// sum = x + drop(z) for the row that begins at element `first`.
template <class T>
void add_row(const RowDropout& d, uint64_t step, int64_t first, int64_t n, const T* x, const T* z, T* sum) {
  if (d.threshold == 0) {
#pragma omp simd
    for (int64_t j = 0; j < n; ++j) sum[j] = x[j] + z[j];
    return;
  }
  each_group(
      d, step, first, n,
      [&, threshold = d.threshold, scale = static_cast<T>(d.scale)](int64_t j0, int64_t m, const uint16_t* bits) {
#pragma omp simd
        for (int64_t j = 0; j < m; ++j) {
          const T kept = z[j0 + j] * scale;
          sum[j0 + j] = x[j0 + j] + (static_cast<int32_t>(bits[j]) < threshold ? T(0) : kept);
        }
      });
}
void check_attrs(Infer& i, int inputs) {
  const Attrs& a = i.attrs();
  const double eps = a.number("eps");
  i.check(eps >= 0 && eps < 1, "eps is {}, must be in [0, 1)", eps);
  i.expect_inputs(inputs + (check_drop(i, inputs) ? 1 : 0));
}
void check_rows(Infer& i, int last) {
  i.expect_dtype(0, {DType::F32, DType::F64});
  i.expect_same_dtype(0, last);
  const Shape& x = i.shape(0);
  i.check(x.rank() > 0 && x.back() > 0, "x {} has no rows of elements", x.str());
  i.expect_shape(1, x);
}

void infer(Infer& i) {  // x, z, gamma, beta, [step] -> y, sum
  check_attrs(i, 4);
  check_rows(i, 3);
  for (const int k : {2, 3}) i.expect_shape(k, Shape{i.shape(0).back()});
  i.out(i.in(0));
  i.out(i.in(0));
}
void prepare(const NodeSpec& node, Prepare& p) { p.state<State>(node, size_t{0}); }
void run(const Call& c) {
  visit_float(c.in_spec(0).dtype, "add_layer_norm", [&]<class T> {
    const State& s = c.state<State>();
    const int64_t n = s.n;
    const uint64_t step = s.drop.step_of(c);
    const T *x = c.in<T>(0), *z = c.in<T>(1), *gamma = c.in<T>(2), *beta = c.in<T>(3), eps = static_cast<T>(s.eps);
    parallel_for(s.rows, grain(2 * n), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        T *sum = c.out<T>(1) + r * n, *y = c.out<T>(0) + r * n;
        add_row(s.drop, step, r * n, n, x + r * n, z + r * n, sum);
        const Moments<T> m(n, sum, eps);
        normalise_row(n, m, sum, gamma, beta, y);
      }
    });
  });
}

void record_gradient(Grad& g) {
  const Value dy = g.dy(0), dsum = g.dy(1);
  const bool drops = g.attrs().number("p") > 0;
  if (!dy) {  // only the sum was used
    g.dx(0, dsum);
    Attrs a;
    for (const char* name : {"seed", "stream"}) a.set(name, g.attrs().integer(name));
    g.dx(1, drops ? g.apply("dropout_grad", {dsum, g.x(4)}, a.set("p", g.attrs().number("p"))) : dsum);
    return;
  }
  std::vector<Value> in = {dy, g.y(1), g.x(2)};
  if (dsum) in.push_back(dsum);
  if (drops) in.push_back(g.x(4));
  Attrs attrs = g.attrs();
  attrs.set("has_dsum", int64_t{static_cast<bool>(dsum)});
  const auto d = g.graph().apply_all("add_layer_norm_grad", in, std::move(attrs), g.loc());
  g.dx(0, d[0]);
  g.dx(1, drops ? d[3] : d[0]);
  g.dx(2, d[1]);
  g.dx(3, d[2]);
}

constexpr int64_t kLowDz = 1 << 3;  // of attribute bf16_out, a bit for each output

void infer_grad(Infer& i) {  // dy, sum, gamma, [dsum], [step] -> dx, dgamma, dbeta, [dz]
  const bool dsum = i.attrs().flag("has_dsum");
  check_attrs(i, dsum ? 4 : 3);
  check_rows(i, dsum ? 3 : 2);
  i.expect_shape(2, Shape{i.shape(0).back()});
  if (dsum) i.expect_shape(3, i.shape(0));
  i.out(i.in(0));
  i.out(i.in(2));
  i.out(i.in(2));
  const int64_t low = i.attrs().integer("bf16_out", 0);
  i.check(low == 0 || low == kLowDz, "bf16_out is {}: only dz can be bf16", low);
  i.check(low == 0 || (i.attrs().number("p") > 0 && i.dtype(0) == DType::F32), "dz in bf16 is of f32 and dropout");
  if (i.attrs().number("p") > 0) i.out(low == kLowDz ? DType::BF16 : i.dtype(0), i.shape(0));
}
void prepare_grad(const NodeSpec& node, Prepare& p) {
  const State& s = p.state<State>(node, size_t{0});
  p.scratch(static_cast<size_t>(partial_sums(s.rows, 2, s.n)) * size_of(node.in[0].dtype));
}
void run_grad(const Call& c) {
  visit_float(c.in_spec(0).dtype, "add_layer_norm_grad", [&]<class T> {
    const State& s = c.state<State>();
    const int64_t n = s.n;
    const uint64_t step = s.drop.step_of(c);
    const T *gamma = c.in<T>(2), *dsum = c.spec->attrs.flag("has_dsum") ? c.in<T>(3) : nullptr;
    const bool drops = s.drop.threshold > 0, low = drops && c.out_spec(3).dtype == DType::BF16;
    T* dz = drops && !low ? c.out<T>(3) : nullptr;
    rows_with_sums<2, T>(s.rows, n, c.scratch_as<T>(), {c.out<T>(1), c.out<T>(2)}, [&](int64_t r, T* partial) {
      const T *dy = c.in<T>(0) + r * n, *x = c.in<T>(1) + r * n;
      T *dx = c.out<T>(0) + r * n, *dgamma = partial, *dbeta = partial + n;
      const Moments<T> m(n, x, static_cast<T>(s.eps));
      normalise_row_grad(n, m, dy, x, gamma, dx, dgamma, dbeta);
      if (dsum != nullptr) {
        const T* more = dsum + r * n;
#pragma omp simd
        for (int64_t j = 0; j < n; ++j) dx[j] += more[j];
      }
      if (dz != nullptr) drop_row(s.drop, step, r * n, n, dx, dz + r * n);
      if (!low) return;
      std::vector<T> row(static_cast<size_t>(n));
      drop_row(s.drop, step, r * n, n, dx, row.data());
      for (int64_t j = 0; j < n; ++j) c.out<bf16>(3)[r * n + j] = bf16(static_cast<float>(row[static_cast<size_t>(j)]));
    });
  });
}

Cost cost(const NodeSpec& node) {
  double bytes = 0;
  for (const auto* list : {&node.in, &node.out})
    for (const TensorSpec& s : *list) bytes += static_cast<double>(s.bytes());
  return {12 * static_cast<double>(node.in[0].shape.numel()), bytes};
}

// ---- samples

Attrs attrs(double p, bool gradient, bool dsum, double eps = 1e-5) {
  Attrs a = {{"eps", eps}, {"p", p}, {"seed", int64_t{7}}, {"stream", int64_t{3}}};
  return gradient ? a.set("has_dsum", int64_t{dsum}) : a;
}
std::vector<Arg> arguments(const Shape& x, double p, bool gradient, bool dsum) {
  std::vector<Arg> in = {f32(x), f32(x), f32({x.back()})};
  if (!gradient) in.push_back(f32({x.back()}));
  if (gradient && dsum) in.push_back(f32(x));
  if (p > 0) in.push_back(i64({}, Fill::of({12})));
  return in;
}
template <bool kGradient>
void samples(Samples& s) {
  const auto add = [&](const std::string& name, const Shape& x, double p, bool dsum, Sample more = {}) {
    more.name = name;
    more.in = arguments(x, p, kGradient, dsum);
    more.attrs = attrs(p, kGradient, dsum);
    more.grad = more.grad && !kGradient;
    s.add(std::move(more));
  };
  add("rows", {5, 37}, 0, false);
  add("dropped", {5, 37}, 0.3, true);
  add("vector", {9}, 0, true);
  add("rank three", {2, 3, 16}, 0.2, false);
  // the gradient of two columns is what remains of terms that cancel: no bound relative to it holds in float
  if (!kGradient) add("two columns", {4, 2}, 0, false);
  add("no rows", {0, 4}, 0.1, true, {.constant_ok = true});
  add("past a block", {150, 129}, 0.1, true, {.grad = false});
  if (kGradient) add("rows for all threads", {8500, 36}, 0.1, true, {.grad = false});
  for (const int64_t n : {300, 400, 700, 900, 1027, 1540, 4099, 4100, 16388})
    add(fmt::format("width {}", n), {n > 2000 ? 1 : 3, n}, 0.1, true, {.grad = false});
  if (kGradient)
    for (const int64_t n : {37, 384, 1540})
      s.add({.name = fmt::format("bf16 dz {}", n),
             .in = arguments({5, n}, 0.3, true, true),
             .attrs = attrs(0.3, true, true).set("bf16_out", kLowDz),
             .grad = false});
  add("bench", {2048, 384}, 0.1, false, {.grad = false, .bench = true});
  add("bench_inference", {2048, 384}, 0, false, {.grad = false, .bench = true});
  auto wide = arguments({5, 3}, 0, kGradient, false), other = wide, none = arguments({5, 0}, 0, kGradient, false);
  wide[2].spec.shape = {4};
  other[1].spec.shape = {5, 4};
  s.add({.name = "gamma", .in = wide, .attrs = attrs(0, kGradient, false), .throws = "is [4], expected [3]"});
  s.add({.name = "z", .in = other, .attrs = attrs(0, kGradient, false), .throws = "is [5, 4], expected [5, 3]"});
  s.add({.name = "no columns", .in = none, .attrs = attrs(0, kGradient, false), .throws = "has no rows of elements"});
  s.add({.name = "certain",
         .in = arguments({5, 3}, 1, kGradient, false),
         .attrs = attrs(1, kGradient, false),
         .throws = "p = 1 is not in [0, 1)"});
  if (kGradient)
    s.add({.name = "bf16 dx",
           .in = arguments({5, 3}, 0.3, true, false),
           .attrs = attrs(0.3, true, false).set("bf16_out", int64_t{1}),
           .throws = "only dz can be bf16"});
  s.add({.name = "eps",
         .in = arguments({5, 3}, 0, kGradient, false),
         .attrs = attrs(0, kGradient, false, -1),
         .throws = "eps is -1"});
}

}  // namespace

void register_add_layer_norm(Registry& r) {
  const Tolerance tolerance{.ulp = 16, .sum = 64};  // as layer_norm
  r.add({.name = "add_layer_norm",
         .doc = "y, sum: sum = x + drop(z), y = layer_norm(sum) gamma + beta; inputs x, z, gamma, beta, [step i64 []]",
         .infer = infer,
         .grad = record_gradient,
         .cost = cost,
         .samples = samples<false>,
         .tolerance = tolerance,
         .kernels = {{.name = "reference", .prepare = prepare, .run = run}},
         .inplace = {{1, 1}, {0, 1}}});
  r.add({.name = "add_layer_norm_grad",
         .doc = "dx, dgamma, dbeta, and dz with dropout (bf16 with bf16_out = 8), of add_layer_norm from (dy, sum, "
                "gamma, [dsum], [step])",
         .infer = infer_grad,
         .no_grad = "first-order only",
         .cost = cost,
         .samples = samples<true>,
         .tolerance = tolerance,
         .kernels = {{.name = "reference", .prepare = prepare_grad, .run = run_grad}},
         .inplace = {{0, 0}}});
}

}  // namespace winnow
