// sum, mean and sum_to: one geometry (ops/detail/axes.h), three kernels.
#include "ops/reduce.h"

#include "core/parallel.h"
#include "core/samples.h"
#include "ops/detail/grain.h"
#include "ops/detail/lanes.h"
#include "ops/detail/reduction.h"

namespace winnow {

using namespace detail;

Value sum(Value x, const AxisList& axes, bool keepdims, Loc loc) {
  return x.graph->apply("sum", {x}, reduction_attrs(axes, keepdims), loc);
}
Value mean(Value x, const AxisList& axes, bool keepdims, Loc loc) {
  return x.graph->apply("mean", {x}, reduction_attrs(axes, keepdims), loc);
}
Value sum_to(Value x, const Shape& shape, Loc loc) {
  if (x.shape() == shape) return x;
  return x.graph->apply("sum_to", {x}, {{"shape", dims_of(shape)}}, loc);
}

namespace {

constexpr int64_t kBlock = 4096;  // elements of a long row that are summed as one; 16 KiB of floats
constexpr int64_t kTile = 256;    // columns that are summed side by side

struct State {
  Axes axes;
  double scale = 1;
  int64_t blocks = 1;  // of a row, or of the rows of a column
};

State& prepare_common(const NodeSpec& n, Prepare& p) {
  State& s = p.state<State>();
  s.axes = summed_axes(n);
  s.scale = sum_scale(n, s.axes);
  return s;
}

const char* reject_rows(const NodeSpec& n, const DeviceInfo&) {
  if (n.in[0].dtype != DType::F32) return "f32 only";
  const Axes a = summed_axes(n);
  return a.blocked && a.inner == 1 ? nullptr : "reduces trailing axes only";
}
void prepare_rows(const NodeSpec& n, Prepare& p) {
  State& s = prepare_common(n, p);
  s.blocks = std::max<int64_t>(1, (s.axes.terms + kBlock - 1) / kBlock);
  if (s.blocks > 1) p.scratch(static_cast<size_t>(s.axes.outer * s.blocks) * sizeof(double));
}
void run_rows(const Call& c) {
  const State& s = c.state<State>();
  const int64_t terms = s.axes.terms, blocks = s.blocks;
  const float* x = c.in<float>(0);
  float* y = c.out<float>(0);
  const float scale = static_cast<float>(s.scale);
  if (blocks == 1) {
    parallel_for(s.axes.outer, grain(terms), [&](int64_t begin, int64_t end) {
      for (int64_t o = begin; o < end; ++o) y[o] = scale * row_sum(terms, x + o * terms);
    });
    return;
  }
  double* partial = c.scratch_as<double>();
  parallel_for(s.axes.outer * blocks, grain(kBlock), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t first = i % blocks * kBlock;
      partial[i] = static_cast<double>(row_sum(std::min(kBlock, terms - first), x + i / blocks * terms + first));
    }
  });
  parallel_for(s.axes.outer, grain(blocks), [&](int64_t begin, int64_t end) {
    for (int64_t o = begin; o < end; ++o) y[o] = static_cast<float>(s.scale * row_sum(blocks, partial + o * blocks));
  });
}

const char* reject_columns(const NodeSpec& n, const DeviceInfo&) {
  if (n.in[0].dtype != DType::F32) return "f32 only";
  return summed_axes(n).blocked ? nullptr : "reduces neighbouring axes only";
}
void prepare_columns(const NodeSpec& n, Prepare& p) {
  State& s = prepare_common(n, p);
  s.blocks = std::max<int64_t>(1, row_blocks(s.axes.terms));
  if (s.blocks > 1) p.scratch(static_cast<size_t>(s.axes.outer * s.blocks * s.axes.inner) * sizeof(float));
}
// to[j] = scale * sum over rows of x[r * stride + j], four rows at a time.
void add_rows(const float* x, int64_t rows, int64_t stride, int64_t width, float scale, float* to) {
  alignas(32) float acc[kTile] = {};
  int64_t r = 0;
  for (; r + 4 <= rows; r += 4, x += 4 * stride)
    for (int64_t j = 0; j < width; ++j) acc[j] += (x[j] + x[j + stride]) + (x[j + 2 * stride] + x[j + 3 * stride]);
  for (; r < rows; ++r, x += stride)
    for (int64_t j = 0; j < width; ++j) acc[j] += x[j];
  for (int64_t j = 0; j < width; ++j) to[j] = scale * acc[j];
}
void run_columns(const Call& c) {
  const State& s = c.state<State>();
  const int64_t terms = s.axes.terms, inner = s.axes.inner, blocks = s.blocks;
  const int64_t each = blocks == 1 ? terms : rows_per_block(terms), tiles = (inner + kTile - 1) / kTile;
  const float* x = c.in<float>(0);
  float* y = c.out<float>(0);
  const float scale = static_cast<float>(s.scale);
  float* first = blocks == 1 ? y : c.scratch_as<float>();
  parallel_for(s.axes.outer * blocks * tiles, grain(each * std::min(kTile, inner)), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t column = i % tiles * kTile, block = i / tiles % blocks, o = i / tiles / blocks;
      add_rows(x + (o * terms + block * each) * inner + column, std::min(each, terms - block * each), inner,
               std::min(kTile, inner - column), blocks == 1 ? scale : 1.0f,
               first + (o * blocks + block) * inner + column);
    }
  });
  if (blocks == 1) return;
  parallel_for(s.axes.outer * tiles, grain(blocks * std::min(kTile, inner)), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t column = i % tiles * kTile, o = i / tiles;
      add_rows(first + o * blocks * inner + column, blocks, inner, std::min(kTile, inner - column), scale,
               y + o * inner + column);
    }
  });
}

void prepare_reference(const NodeSpec& n, Prepare& p) { prepare_common(n, p); }
void run_reference(const Call& c) {
  visit_float(c.in_spec(0).dtype, "sum", [&]<class T> {
    const State& s = c.state<State>();
    const T* x = c.in<T>(0);
    T* y = c.out<T>(0);
    const auto run = s.axes.last_reduced();
    parallel_for(s.axes.outputs, grain(s.axes.terms), [&](int64_t begin, int64_t end) {
      for (int64_t o = begin; o < end; ++o) {
        const T* from = x + s.axes.output_offset(o);
        double total = 0;
        for (int64_t t = 0; t < s.axes.terms; t += run.extent) {
          const T* first = from + s.axes.term_offset(t);
          for (int64_t k = 0; k < run.extent; ++k) total += static_cast<double>(first[k * run.stride]);
        }
        y[o] = static_cast<T>(s.scale * total);
      }
    });
  });
}

void infer_sum(Infer& i) { infer_reduction(i, false); }
void infer_mean(Infer& i) { infer_reduction(i, true); }
void infer_sum_to(Infer& i) {
  i.expect_inputs(1);
  i.expect_dtype(0, {DType::F32, DType::F64});
  const Shape y(std::span<const int64_t>(i.attrs().integers("shape")));
  bool ok = y.rank() <= i.shape(0).rank();
  for (int a = 1; ok && a <= y.rank(); ++a) {
    const int64_t extent = y[y.rank() - a];
    ok = extent == 1 || extent == i.shape(0)[i.shape(0).rank() - a];
  }
  i.check(ok, "{} does not broadcast to {}, so the latter cannot be summed to it", y.str(), i.shape(0).str());
  i.out(i.dtype(0), y);
}

void grad_sum(Grad& g) { g.dx(0, spread(g, g.dy())); }
void grad_mean(Grad& g) {
  const double terms =
      static_cast<double>(g.x(0).shape().numel()) / static_cast<double>(std::max<int64_t>(1, g.y().shape().numel()));
  g.dx(0, spread(g, g.apply("affine", {g.dy()}, {{"scale", 1.0 / std::max(1.0, terms)}, {"shift", 0.0}})));
}
void grad_sum_to(Grad& g) { g.dx(0, g.apply("broadcast_to", {g.dy()}, {{"shape", dims_of(g.x(0).shape())}})); }

Cost cost(const NodeSpec& n) {
  return {static_cast<double>(n.in[0].shape.numel()), static_cast<double>(n.in[0].bytes() + n.out[0].bytes())};
}

void samples_axes(Samples& s) {
  s.add({.name = "all", .in = {f32({7, 5})}})
      .add({.name = "scalar", .in = {f32({})}})
      .add({.name = "one", .in = {f32({1, 1})}, .attrs = reduction_attrs({0}, true)})
      .add({.name = "rows", .in = {f32({5, 37})}, .attrs = reduction_attrs({-1}, false)})
      .add({.name = "rows_keep", .in = {f32({5, 8})}, .attrs = reduction_attrs({1}, true)})
      .add({.name = "columns", .in = {f32({67, 13})}, .attrs = reduction_attrs({0}, false)})
      .add({.name = "middle", .in = {f32({3, 7, 9})}, .attrs = reduction_attrs({1}, false)})
      .add({.name = "leading_two", .in = {f32({3, 5, 11})}, .attrs = reduction_attrs({0, 1}, false)})
      .add({.name = "outer_and_inner", .in = {f32({4, 3, 5})}, .attrs = reduction_attrs({0, 2}, false)})
      .add({.name = "apart_keep", .in = {f32({2, 3, 1, 5})}, .attrs = reduction_attrs({0, -1}, true)})
      .add({.name = "no_outputs", .in = {f32({0, 4})}, .attrs = reduction_attrs({1}, false)})
      .add({.name = "large_terms",
            .in = {f32({9}, Fill::of({3e38, -1e38, 1, 1e-38, 0, -0.0, 1e20, -1e20, 2}))},
            .grad = false,
            .integers = false})
      .add({.name = "wide_matrix", .in = {f32({9, 1001})}, .grad = false})
      .add({.name = "wide_even_rows", .in = {f32({2, 8200})}, .attrs = reduction_attrs({1}, false), .grad = false})
      .add({.name = "high_columns", .in = {f32({700, 12})}, .attrs = reduction_attrs({0}, false), .grad = false})
      .add({.name = "wide_apart", .in = {f32({40, 3, 220})}, .attrs = reduction_attrs({0, 2}, false), .grad = false})
      .add({.name = "high_apart", .in = {f32({40, 3, 5, 4})}, .attrs = reduction_attrs({0, 2}, false), .grad = false})
      .add({.name = "wide_rows", .in = {f32({3, 9001})}, .attrs = reduction_attrs({1}, false), .grad = false})
      .add({.name = "long", .in = {f32({2048, 1024})}, .grad = false, .bench = true})
      .add({.name = "bench_rows",
            .in = {f32({2048, 1024})},
            .attrs = reduction_attrs({1}, false),
            .grad = false,
            .bench = true})
      .add({.name = "bench_columns",
            .in = {f32({2048, 1024})},
            .attrs = reduction_attrs({0}, false),
            .grad = false,
            .bench = true})
      .add({.name = "bench_pool",
            .in = {f32({256, 50, 64})},
            .attrs = reduction_attrs({1}, false),
            .grad = false,
            .bench = true})
      .add({.name = "axis_range",
            .in = {f32({3, 4})},
            .attrs = reduction_attrs({2}, false),
            .throws = "axis 2 is out of range for [3, 4]"})
      .add({.name = "axis_twice",
            .in = {f32({3, 4})},
            .attrs = reduction_attrs({0, -2}, false),
            .throws = "axis -2 is named twice"})
      .add({.name = "integers", .in = {i64({3}, Fill::integers(0, 9))}, .throws = "expected f32 or f64"});
}
void samples_sum(Samples& s) {
  samples_axes(s);
  s.add({.name = "no_terms", .in = {f32({3, 0})}, .attrs = reduction_attrs({1}, false), .constant_ok = true});
}
void samples_mean(Samples& s) {
  samples_axes(s);
  s.add({.name = "no_terms",
         .in = {f32({3, 0})},
         .attrs = reduction_attrs({1}, false),
         .throws = "has no elements to reduce"});
}
void samples_sum_to(Samples& s) {
  using List = std::vector<int64_t>;
  s.add({.name = "bias", .in = {f32({67, 13})}, .attrs = {{"shape", List{13}}}})
      .add({.name = "column", .in = {f32({5, 37})}, .attrs = {{"shape", List{5, 1}}}})
      .add({.name = "to_scalar", .in = {f32({3, 5})}, .attrs = {{"shape", List{}}}})
      .add({.name = "to_ones", .in = {f32({3, 5})}, .attrs = {{"shape", List{1, 1}}}})
      .add({.name = "same", .in = {f32({3, 5})}, .attrs = {{"shape", List{3, 5}}}})
      .add({.name = "apart", .in = {f32({4, 3, 5})}, .attrs = {{"shape", List{3, 1}}}})
      .add({.name = "no_terms", .in = {f32({0, 3})}, .attrs = {{"shape", List{3}}}, .constant_ok = true})
      .add({.name = "bench_bias",
            .in = {f32({2048, 1024})},
            .attrs = {{"shape", List{1024}}},
            .grad = false,
            .bench = true})
      .add({.name = "mismatch",
            .in = {f32({3, 4})},
            .attrs = {{"shape", List{3}}},
            .throws = "[3] does not broadcast to [3, 4]"})
      .add({.name = "larger", .in = {f32({4})}, .attrs = {{"shape", List{1, 4}}}, .throws = "does not broadcast"});
}

// 32 lanes of up to 128 additions, then blocks in double; columns add 16 quadruples and 64 blocks in float.
constexpr Tolerance kTolerance{.ulp = 4, .sum = 64, .exact_integers = true};

std::vector<KernelDef> kernels() {
  return {{.name = "rows", .reject = reject_rows, .prepare = prepare_rows, .run = run_rows},
          {.name = "columns", .reject = reject_columns, .prepare = prepare_columns, .run = run_columns},
          {.name = "reference", .prepare = prepare_reference, .run = run_reference}};
}

}  // namespace

void register_reduce(Registry& r) {
  r.add({.name = "sum",
         .doc = "y = sum of x over attr axes (all when empty); attr keepdims",
         .infer = infer_sum,
         .grad = grad_sum,
         .cost = cost,
         .samples = samples_sum,
         .tolerance = kTolerance,
         .kernels = kernels()});
  Tolerance mean_tolerance = kTolerance;
  mean_tolerance.exact_integers = false;
  r.add({.name = "mean",
         .doc = "y = mean of x over attr axes (all when empty); attr keepdims",
         .infer = infer_mean,
         .grad = grad_mean,
         .cost = cost,
         .samples = samples_mean,
         .tolerance = mean_tolerance,
         .kernels = kernels()});
  r.add({.name = "sum_to",
         .doc = "y = x summed over the axes along which attr shape broadcasts to x",
         .infer = infer_sum_to,
         .grad = grad_sum_to,
         .cost = cost,
         .samples = samples_sum_to,
         .tolerance = kTolerance,
         .kernels = kernels()});
}

}  // namespace winnow
