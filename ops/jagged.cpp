// jagged_pad and jagged_unpad, each the other's gradient.
#include "ops/jagged.h"

#include <cmath>

#include "core/samples.h"
#include "ops/detail/copy.h"
#include "ops/detail/jagged_padding.h"
#include "ops/detail/jagged_rows.h"

namespace winnow {

using namespace detail;

Value jagged_pad(Value values, Value offsets, int64_t max_len, double padding, Loc loc) {
  return values.graph->apply("jagged_pad", {values, offsets}, {{"max_len", max_len}, {"padding", padding}}, loc);
}
Value jagged_unpad(Value dense, Value offsets, int64_t capacity, Loc loc) {
  return dense.graph->apply("jagged_unpad", {dense, offsets}, {{"capacity", capacity}}, loc);
}

namespace {

constexpr int64_t kMostRows = int64_t{1} << 40;

// Number of bags of the offsets, input 1.
int64_t infer_bags(Infer& i) {
  i.expect_inputs(2);
  i.expect_dtype(0, {DType::F32, DType::F64, DType::I64, DType::I32});
  i.expect_dtype(1, {DType::I64});
  i.expect_rank(1, 1);
  i.check(i.shape(1)[0] >= 1, "offsets are empty, B + 1 of them are needed");
  return i.shape(1)[0] - 1;
}
Shape shape_of(Infer& i, std::initializer_list<int64_t> head, const Shape& tail, int from) {
  std::vector<int64_t> dims(head);
  dims.insert(dims.end(), tail.dims().begin() + from, tail.dims().end());
  i.check(dims.size() <= Shape::kMaxRank, "the result would have rank {}, at most {} is supported", dims.size(),
          Shape::kMaxRank);
  return Shape(std::span<const int64_t>(dims));
}
int64_t extent_of(Infer& i, const char* name) {
  const int64_t n = i.attrs().integer(name);
  i.check(n >= 0 && n <= kMostRows, "{} is {}, must be in [0, 2^40]", name, n);
  return n;
}

void infer_pad(Infer& i) {
  const int64_t bags = infer_bags(i);
  i.check(i.shape(0).rank() >= 1, "values are a scalar, they need rows");
  const double padding = i.attrs().number("padding", 0);
  i.check(is_float(i.dtype(0)) || (std::abs(padding) <= 0x1p30 && padding == std::floor(padding)),
          "padding {} is no small integer, the values are {}", padding, name_of(i.dtype(0)));
  i.out(i.dtype(0), shape_of(i, {bags, extent_of(i, "max_len")}, i.shape(0), 1));
}
void grad_pad(Grad& g) { g.dx(0, g.apply("jagged_unpad", {g.dy(), g.x(1)}, {{"capacity", g.x(0).shape()[0]}})); }
struct PadState {
  uint64_t padding;  // the element's bits
};
void prepare_pad(const NodeSpec& n, Prepare& p) { p.state<PadState>(PadState{padding_bits(n)}); }
void run_pad(const Call& c) {
  visit_size(c.in_spec(0).dtype, [&]<class U> {
    const int64_t bags = c.in_numel(1) - 1, capacity = c.in_spec(0).shape[0], width = c.in_spec(0).shape.inner(0);
    const int64_t max_len = c.out_spec(0).shape[1], *offsets = c.in<int64_t>(1);
    const U *values = c.in<U>(0), padding = static_cast<U>(c.state<PadState>().padding);
    U* y = c.out<U>(0);
    parallel_for(bags, grain(max_len * width), [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) {
        const RowRange rows = rows_of_bag(offsets, b, capacity);
        const int64_t n = std::min(rows.end - rows.begin, max_len) * width;
        U* to = y + b * max_len * width;
        std::memcpy(to, values + rows.begin * width, static_cast<size_t>(n) * sizeof(U));
        std::fill(to + n, to + max_len * width, padding);
      }
    });
  });
}

void infer_unpad(Infer& i) {
  const int64_t bags = infer_bags(i);
  const Shape& dense = i.shape(0);
  i.check(dense.rank() >= 2 && dense[0] == bags, "dense {} is not [B, max_len, ..] with B = {} of the offsets",
          dense.str(), bags);
  i.out(i.dtype(0), shape_of(i, {extent_of(i, "capacity")}, dense, 2));
}
void grad_unpad(Grad& g) {
  g.dx(0, g.apply("jagged_pad", {g.dy(), g.x(1)}, {{"max_len", g.x(0).shape()[1]}, {"padding", 0.0}}));
}
void run_unpad(const Call& c) {
  visit_size(c.in_spec(0).dtype, [&]<class U> {
    const int64_t bags = c.in_numel(1) - 1, max_len = c.in_spec(0).shape[1], width = c.in_spec(0).shape.inner(1);
    const int64_t* offsets = c.in<int64_t>(1);
    const U* dense = c.in<U>(0);
    U* values = c.out<U>(0);
    if (width == 0) return;
    parallel_for(c.out_spec(0).shape[0], grain(width), [&](int64_t begin, int64_t end) {
      BagOfRow walk(offsets, bags, begin);
      for (int64_t r = begin; r < end; ++r) {
        const bool live = walk.at(r) && r - walk.begin() < max_len;
        if (live)
          std::memcpy(values + r * width, dense + (walk.bag() * max_len + r - walk.begin()) * width,
                      static_cast<size_t>(width) * sizeof(U));
        else
          std::fill(values + r * width, values + (r + 1) * width, U(0));
      }
    });
  });
}

Arg offsets(std::vector<double> list) {
  const auto n = static_cast<int64_t>(list.size());
  return i64({n}, Fill::of(std::move(list)));
}
void samples_pad(Samples& s) {
  const auto to = [](int64_t n, double padding) { return Attrs{{"max_len", n}, {"padding", padding}}; };
  s.add({.name = "bags", .in = {f32({9, 5}), offsets({0, 2, 2, 5, 9})}, .attrs = to(4, 0), .constant_ok = true})
      .add({.name = "cut", .in = {f32({9, 3}), offsets({0, 4, 9})}, .attrs = to(3, 0)})
      .add({.name = "dead_rows", .in = {f32({11, 3}), offsets({1, 4, 7})}, .attrs = to(3, -1)})
      .add({.name = "vector", .in = {f32({6}), offsets({0, 1, 6})}, .attrs = to(5, 0.5)})
      .add({.name = "rank_three", .in = {f32({5, 2, 3}), offsets({0, 3, 5})}, .attrs = to(3, 0)})
      .add({.name = "integers", .in = {i64({5}, Fill::integers(1, 9)), offsets({0, 3, 5})}, .attrs = to(3, -1)})
      .add({.name = "wide_rows", .in = {f32({9, 40}), offsets({0, 4, 4, 8})}, .attrs = to(5, 0.5)})
      .add({.name = "pairs", .in = {i64({5, 2}, Fill::integers(1, 9)), offsets({0, 3, 5})}, .attrs = to(4, -1)})
      .add({.name = "one", .in = {f32({1, 1}), offsets({0, 1})}, .attrs = to(1, 0)})
      .add({.name = "no_bags", .in = {f32({3, 2}), offsets({0})}, .attrs = to(2, 0), .constant_ok = true})
      .add({.name = "bench",
            .in = {f32({25600, 64}), i64({1025}, Fill::bags(25600))},
            .attrs = to(50, 0),
            .grad = false,
            .bench = true,
            .constant_ok = true})
      .add({.name = "length", .in = {f32({3, 2}), offsets({0, 3})}, .attrs = to(-1, 0), .throws = "max_len is -1"})
      .add({.name = "fraction",
            .in = {i64({3}, Fill::integers(0, 9)), offsets({0, 3})},
            .attrs = to(2, 0.5),
            .throws = "padding 0.5 is no small integer"})
      .add({.name = "no_offsets", .in = {f32({3, 2}), offsets({})}, .attrs = to(2, 0), .throws = "offsets are empty"});
}
void samples_unpad(Samples& s) {
  const auto into = [](int64_t n) { return Attrs{{"capacity", n}}; };
  s.add({.name = "bags", .in = {f32({4, 4, 5}), offsets({0, 2, 2, 5, 9})}, .attrs = into(9)})
      .add({.name = "cut", .in = {f32({2, 3, 2}), offsets({0, 4, 9})}, .attrs = into(9)})
      .add({.name = "dead_rows", .in = {f32({2, 3, 3}), offsets({1, 4, 7})}, .attrs = into(8)})
      .add({.name = "vector", .in = {f32({2, 5}), offsets({0, 1, 6})}, .attrs = into(6)})
      .add({.name = "integers", .in = {i64({2, 3}, Fill::integers(1, 9)), offsets({0, 3, 5})}, .attrs = into(5)})
      .add({.name = "wide_rows", .in = {f32({3, 3, 40}), offsets({1, 4, 4, 8})}, .attrs = into(9)})
      .add({.name = "pairs", .in = {i64({2, 3, 2}, Fill::integers(1, 9)), offsets({0, 3, 5})}, .attrs = into(5)})
      .add({.name = "one", .in = {f32({1, 1, 1}), offsets({0, 1})}, .attrs = into(1)})
      .add({.name = "no_rows", .in = {f32({2, 3, 2}), offsets({0, 0, 0})}, .attrs = into(0), .constant_ok = true})
      .add({.name = "bench",
            .in = {f32({1024, 50, 64}), i64({1025}, Fill::bags(25600))},
            .attrs = into(25600),
            .grad = false,
            .bench = true,
            .constant_ok = true})
      .add({.name = "bags_differ",
            .in = {f32({3, 4, 5}), offsets({0, 2, 4})},
            .attrs = into(4),
            .throws = "is not [B, max_len, ..] with B = 2"})
      .add(
          {.name = "capacity", .in = {f32({1, 4, 5}), offsets({0, 2})}, .attrs = into(-4), .throws = "capacity is -4"});
}

}  // namespace

void register_jagged(Registry& r) {
  r.add({.name = "jagged_pad",
         .doc = "y[b, t] = values[offsets[b] + t], attr padding after the bag's end; attr max_len",
         .infer = infer_pad,
         .grad = grad_pad,
         .samples = samples_pad,
         .tolerance = {.ulp = 0, .exact_integers = true},
         .kernels = {{.name = "reference", .prepare = prepare_pad, .run = run_pad}}});
  r.add({.name = "jagged_unpad",
         .doc = "values[offsets[b] + t] = dense[b, t], zeros elsewhere; attr capacity",
         .infer = infer_unpad,
         .grad = grad_unpad,
         .samples = samples_unpad,
         .tolerance = {.ulp = 0, .exact_integers = true},
         .kernels = {{.name = "reference", .run = run_unpad}}});
}

}  // namespace winnow
