// jagged_pool and its gradient.
#include "core/parallel.h"
#include "core/samples.h"
#include "ops/detail/grain.h"
#include "ops/detail/jagged_rows.h"
#include "ops/detail/lanes.h"
#include "ops/detail/pooling.h"
#include "ops/jagged.h"

namespace winnow {

using namespace detail;

Value jagged_pool(Value values, Value offsets, Pooling mode, Loc loc) {
  const char* names[] = {"sum", "mean", "max"};
  return values.graph->apply("jagged_pool", {values, offsets}, {{"mode", std::string(names[static_cast<int>(mode)])}},
                             loc);
}

namespace {

struct State {
  Pooling mode;
};

// Inputs values and offsets from input `first` on; returns the shape of y.
Shape infer_bags(Infer& i, int first) {
  i.expect_dtype(first, {DType::F32, DType::F64});
  i.expect_dtype(first + 1, {DType::I64});
  i.expect_rank(first + 1, 1);
  i.check(i.shape(first).rank() >= 1, "values are a scalar, they need rows");
  i.check(i.shape(first + 1)[0] >= 1, "offsets are empty, B + 1 of them are needed");
  const std::string& mode = i.attrs().text("mode");
  i.check(mode == "sum" || mode == "mean" || mode == "max", "mode '{}' is not sum, mean or max", mode);
  return i.shape(first).with(0, i.shape(first + 1)[0] - 1);
}
void infer(Infer& i) {
  i.expect_inputs(2);
  const Shape y = infer_bags(i, 0);
  i.out(i.dtype(0), y);
}
void infer_grad(Infer& i) {  // dy, values, offsets, y -> dvalues
  i.expect_inputs(4);
  const Shape y = infer_bags(i, 1);
  for (const int k : {0, 3}) {
    i.expect_dtype(k, {i.dtype(1)});
    i.expect_shape(k, y);
  }
  i.out(i.in(1));
}
void prepare(const NodeSpec& n, Prepare& p) { p.state<State>().mode = pooling_of(n.attrs); }
void grad(Grad& g) { g.dx(0, g.apply("jagged_pool_grad", {g.dy(), g.x(0), g.x(1), g.y()}, g.attrs())); }

template <class T>
void pool_bag(Pooling mode, const T* values, RowRange rows, int64_t width, T* y) {
  if (rows.begin == rows.end) {
    std::fill(y, y + width, T(0));
    return;
  }
  std::memcpy(y, values + rows.begin * width, static_cast<size_t>(width) * sizeof(T));
  for (int64_t r = rows.begin + 1; r < rows.end; ++r) {
    const T* row = values + r * width;
    if (mode == Pooling::Max)
      for (int64_t j = 0; j < width; ++j) y[j] = pick<true, T>(y[j], row[j]);
    else
      for (int64_t j = 0; j < width; ++j) y[j] += row[j];
  }
  if (mode != Pooling::Mean) return;
  const T share = T(1) / static_cast<T>(rows.end - rows.begin);
  for (int64_t j = 0; j < width; ++j) y[j] *= share;
}
void run(const Call& c) {
  visit_float(c.in_spec(0).dtype, "jagged_pool", [&]<class T> {
    const Shape& values = c.in_spec(0).shape;
    const int64_t bags = c.in_numel(1) - 1, capacity = values[0], width = values.inner(0), *offsets = c.in<int64_t>(1);
    const Pooling mode = c.state<State>().mode;
    const int64_t typical = capacity / std::max<int64_t>(1, bags) + 1;
    parallel_for(bags, grain(typical * width), [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b)
        pool_bag(mode, c.in<T>(0), rows_of_bag(offsets, b, capacity), width, c.out<T>(0) + b * width);
    });
  });
}

// Whether no row of the bag before `row` has the largest value of column j as well.
template <class T>
bool first_largest(const T* values, int64_t begin, int64_t row, int64_t width, int64_t j, T largest) {
  for (int64_t r = begin; r < row; ++r) {
    const T v = values[r * width + j];
    if (v == largest || v != v) return false;
  }
  return true;
}
void run_grad(const Call& c) {
  visit_float(c.in_spec(0).dtype, "jagged_pool_grad", [&]<class T> {
    const Shape& shape = c.in_spec(1).shape;
    const int64_t bags = c.in_numel(2) - 1, capacity = shape[0], width = shape.inner(0), *offsets = c.in<int64_t>(2);
    const T* values = c.in<T>(1);
    if (width == 0) return;
    const Pooling mode = c.state<State>().mode;
    parallel_for(capacity, grain(width), [&](int64_t begin, int64_t end) {
      BagOfRow walk(offsets, bags, begin);
      for (int64_t r = begin; r < end; ++r) {
        T* dx = c.out<T>(0) + r * width;
        if (!walk.at(r)) {
          std::fill(dx, dx + width, T(0));
          continue;
        }
        const T *dy = c.in<T>(0) + walk.bag() * width, *y = c.in<T>(3) + walk.bag() * width, *x = values + r * width;
        if (mode == Pooling::Max) {
          for (int64_t j = 0; j < width; ++j) {
            const bool largest = x[j] == y[j] || x[j] != x[j];
            dx[j] = largest && first_largest(values, walk.begin(), r, width, j, y[j]) ? dy[j] : T(0);
          }
          continue;
        }
        const RowRange rows = rows_of_bag(offsets, walk.bag(), capacity);
        const T share = mode == Pooling::Sum ? T(1) : T(1) / static_cast<T>(rows.end - rows.begin);
        for (int64_t j = 0; j < width; ++j) dx[j] = share * dy[j];
      }
    });
  });
}

Arg offsets(std::vector<double> list) {
  const auto n = static_cast<int64_t>(list.size());
  return i64({n}, Fill::of(std::move(list)));
}
const char* const kModes[] = {"sum", "mean", "max"};
Attrs attrs_of(const std::string& mode) { return {{"mode", mode}}; }

void samples(Samples& s) {
  for (const std::string mode : kModes) {
    const Attrs a = attrs_of(mode);
    s.add({.name = mode, .in = {f32({9, 5}), offsets({0, 2, 2, 5, 9})}, .attrs = a})
        .add({.name = mode + "_dead_rows", .in = {f32({11, 3}), offsets({1, 4, 7})}, .attrs = a})
        .add({.name = mode + "_one", .in = {f32({1}), offsets({0, 1})}, .attrs = a})
        .add({.name = mode + "_empty_bags", .in = {f32({3, 2}), offsets({0, 0, 0})}, .attrs = a, .constant_ok = true})
        .add({.name = mode + "_long", .in = {f32({101, 4}), offsets({1, 90, 90, 99})}, .attrs = a, .grad = false})
        .add({.name = mode + "_wide", .in = {f32({9, 150}), offsets({0, 7, 8})}, .attrs = a, .grad = false})
        .add({.name = mode + "_bench",
              .in = {f32({25600, 64}), i64({1025}, Fill::bags(25600))},
              .attrs = a,
              .grad = false,
              .bench = true});
  }
  s.add({.name = "no_bags", .in = {f32({3, 2}), offsets({0})}, .attrs = attrs_of("sum"), .constant_ok = true})
      .add({.name = "rank_three", .in = {f32({5, 2, 3}), offsets({0, 3, 5})}, .attrs = attrs_of("mean")})
      .add({.name = "mode",
            .in = {f32({3, 2}), offsets({0, 3})},
            .attrs = attrs_of("median"),
            .throws = "mode 'median' is not sum, mean or max"})
      .add({.name = "offset_type",
            .in = {f32({3, 2}), i32({2}, Fill::of({0, 3}))},
            .attrs = attrs_of("sum"),
            .throws = "expected i64"})
      .add({.name = "no_offsets",
            .in = {f32({3, 2}), offsets({})},
            .attrs = attrs_of("sum"),
            .throws = "offsets are empty"});
}
void samples_grad(Samples& s) {
  for (const std::string mode : kModes)
    s.add({.name = mode,
           .in = {f32({2, 2}), f32({5, 2}, Fill::of({1, 4, 3, 4, 3, 2, -1, 5, -2, 5})), offsets({0, 3, 5}),
                  fixed(f32({2, 2}, Fill::of({3, 4, -1, 5})))},
           .attrs = attrs_of(mode),
           .grad = false,
           .constant_ok = true})
        .add({.name = mode + "_dead_rows",
              .in = {f32({1, 1}), f32({3, 1}, Fill::of({9, 7, 9})), offsets({1, 2}), fixed(f32({1, 1}, Fill::of({7})))},
              .attrs = attrs_of(mode),
              .grad = false,
              .constant_ok = true});
  s.add({.name = "wide_rows",
         .in = {f32({2, 8}), f32({6, 8}), offsets({0, 3, 5}), fixed(f32({2, 8}))},
         .attrs = attrs_of("mean"),
         .grad = false,
         .constant_ok = true});
  s.add({.name = "bench",
         .in = {f32({1024, 64}), f32({25600, 64}), i64({1025}, Fill::bags(25600)), fixed(f32({1024, 64}))},
         .attrs = attrs_of("mean"),
         .grad = false,
         .bench = true,
         .constant_ok = true})
      .add({.name = "shape",
            .in = {f32({3, 2}), f32({5, 2}), offsets({0, 3, 5}), f32({2, 2})},
            .attrs = attrs_of("sum"),
            .throws = "input 0 is [3, 2], expected [2, 2]"});
}

}  // namespace

void register_jagged_pool(Registry& r) {
  r.add({.name = "jagged_pool",
         .doc = "y[b] = sum, mean or max (attr mode) of values[offsets[b] .. offsets[b + 1] - 1]",
         .infer = infer,
         .grad = grad,
         .samples = samples,
         .tolerance = {.ulp = 4, .sum = 32},
         .kernels = {{.name = "reference", .prepare = prepare, .run = run}}});
  r.add({.name = "jagged_pool_grad",
         .doc = "dvalues of jagged_pool from (dy, values, offsets, y)",
         .infer = infer_grad,
         .no_grad = "first-order only",
         .samples = samples_grad,
         .tolerance = {.ulp = 4},
         .kernels = {{.name = "reference", .prepare = prepare, .run = run_grad}}});
}

}  // namespace winnow
