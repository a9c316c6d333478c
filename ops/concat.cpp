// concat and split, each the other's gradient.
#include "core/samples.h"
#include "ops/detail/copy.h"
#include "ops/detail/row_pieces.h"
#include "ops/shape_ops.h"

namespace winnow {

using namespace detail;

Value concat(const std::vector<Value>& x, int64_t axis, Loc loc) {
  WN_CHECK(!x.empty(), ShapeError, "concat(): no inputs ({})", at_source(loc));
  const int rank = x[0].shape().rank();
  const bool alone = x.size() == 1 && axis >= -rank && axis < rank;  // anything else is for infer to judge
  return alone ? x[0] : x[0].graph->apply_all("concat", x, {{"axis", axis}}, loc)[0];
}
std::vector<Value> split(Value x, int64_t axis, const std::vector<int64_t>& sizes, Loc loc) {
  return x.graph->apply_all("split", {x}, {{"axis", axis}, {"sizes", sizes}}, loc);
}

namespace {

using List = std::vector<int64_t>;

constexpr int64_t kManyRows = 16;  // fewer rows are copied piece by piece, each piece by all threads

void infer_concat(Infer& i) {
  i.expect_inputs(1, 4096);
  i.check(i.shape(0).rank() > 0, "a scalar has no axis to concatenate along; reshape it to [1]");
  i.expect_same_dtype(0, i.inputs() - 1);
  const int axis = i.axis();
  int64_t extent = 0;
  for (int k = 0; k < i.inputs(); ++k) {
    const Shape& s = i.shape(k);
    i.check(s.rank() == i.shape(0).rank() && s.with(axis, 0) == i.shape(0).with(axis, 0),
            "input {} {} and input 0 {} differ outside axis {}", k, s.str(), i.shape(0).str(), axis);
    extent += s[axis];
  }
  i.out(i.dtype(0), i.shape(0).with(axis, extent));
}
void grad_concat(Grad& g) {
  const int64_t axis = g.attrs().integer("axis");
  const int a = static_cast<int>(axis < 0 ? axis + g.y().shape().rank() : axis);
  List sizes;
  for (int k = 0; k < g.inputs(); ++k) sizes.push_back(g.x(k).shape()[a]);
  const auto pieces = g.graph().apply_all("split", {g.dy()}, {{"axis", axis}, {"sizes", sizes}}, g.loc());
  for (int k = 0; k < g.inputs(); ++k) g.dx(k, pieces[static_cast<size_t>(k)]);
}
void prepare_concat(const NodeSpec& n, Prepare& p) {
  p.state<RowPieces>() = row_pieces(n.out[0], n.in, n.attrs.integer("axis"));
}
void run_concat(const Call& c) {
  const RowPieces& s = c.state<RowPieces>();
  const size_t pieces = s.widths.size();
  if (s.width == 0) return;
  char* y = c.out<char>(0);
  if (s.outer < kManyRows) {
    for (size_t k = 0; k < pieces; y += s.widths[k++])
      copy_blocks(s.outer, s.widths[k], c.in<char>(static_cast<int>(k)), s.widths[k], y, s.width);
    return;
  }
  parallel_for(
      s.outer, std::max<int64_t>(1, kCopyGrain / std::max<int64_t>(1, s.width)), [&](int64_t begin, int64_t end) {
        for (int64_t o = begin; o < end; ++o) {
          char* to = y + o * s.width;
          for (size_t k = 0; k < pieces; to += s.widths[k++])
            std::memcpy(to, c.in<char>(static_cast<int>(k)) + o * s.widths[k], static_cast<size_t>(s.widths[k]));
        }
      });
}

void infer_split(Infer& i) {
  i.expect_inputs(1);
  const Shape& x = i.shape(0);
  const int axis = i.axis();
  const List& sizes = i.attrs().integers("sizes");
  int64_t total = 0;
  for (const int64_t n : sizes) {
    i.check(n >= 0, "size {} is negative", n);
    i.check(n <= x[axis], "size {} is more than axis {} of {} has", n, axis, x.str());
    total += n;
    i.out(i.dtype(0), x.with(axis, n));
  }
  i.check(!sizes.empty() && total == x[axis], "the sizes add up to {}, axis {} of {} has {}", total, axis, x.str(),
          x[axis]);
}
void grad_split(Grad& g) {
  const int outputs = static_cast<int>(g.attrs().integers("sizes").size());
  std::vector<Value> pieces;
  for (int k = 0; k < outputs; ++k)
    pieces.push_back(g.dy(k) ? g.dy(k) : g.graph().constant(Tensor::zeros(g.y(k).spec())));
  g.dx(0, g.graph().apply_all("concat", pieces, {{"axis", g.attrs().integer("axis")}}, g.loc())[0]);
}
void prepare_split(const NodeSpec& n, Prepare& p) {
  p.state<RowPieces>() = row_pieces(n.in[0], n.out, n.attrs.integer("axis"));
}
void run_split(const Call& c) {
  const RowPieces& s = c.state<RowPieces>();
  const size_t pieces = s.widths.size();
  if (s.width == 0) return;
  const char* x = c.in<char>(0);
  if (s.outer < kManyRows) {
    for (size_t k = 0; k < pieces; x += s.widths[k++])
      copy_blocks(s.outer, s.widths[k], x, s.width, c.out<char>(static_cast<int>(k)), s.widths[k]);
    return;
  }
  parallel_for(
      s.outer, std::max<int64_t>(1, kCopyGrain / std::max<int64_t>(1, s.width)), [&](int64_t begin, int64_t end) {
        for (int64_t o = begin; o < end; ++o) {
          const char* from = x + o * s.width;
          for (size_t k = 0; k < pieces; from += s.widths[k++])
            std::memcpy(c.out<char>(static_cast<int>(k)) + o * s.widths[k], from, static_cast<size_t>(s.widths[k]));
        }
      });
}

void samples_concat(Samples& s) {
  const std::vector<Arg> many(70, f32({3, 2}));
  const Attrs last{{"axis", int64_t{-1}}}, first{{"axis", int64_t{0}}};
  s.add({.name = "columns", .in = {f32({5, 3}), f32({5, 1}), f32({5, 7})}, .attrs = last})
      .add({.name = "many_rows", .in = {f32({37, 3}), f32({37, 2})}, .attrs = last})
      .add({.name = "rows", .in = {f32({2, 5}), f32({3, 5})}, .attrs = first})
      .add({.name = "seventy", .in = many, .attrs = last})
      .add({.name = "middle", .in = {f32({2, 3, 4}), f32({2, 1, 4})}, .attrs = {{"axis", int64_t{1}}}})
      .add({.name = "one", .in = {f32({1})}, .attrs = first})
      .add({.name = "empty_piece", .in = {f32({4, 0}), f32({4, 3})}, .attrs = last})
      .add({.name = "empty", .in = {f32({0, 2}), f32({0, 3})}, .attrs = last})
      .add({.name = "integers",
            .in = {i64({3, 2}, Fill::integers(-9, 9)), i64({3, 1}, Fill::integers(-9, 9))},
            .attrs = last})
      .add({.name = "bench",
            .in = {f32({2048, 416}), f32({2048, 13}), f32({2048, 351})},
            .attrs = last,
            .grad = false,
            .bench = true})
      .add({.name = "extents",
            .in = {f32({2, 3}), f32({4, 3})},
            .attrs = last,
            .throws = "input 1 [4, 3] and input 0 [2, 3] differ outside axis 1"})
      .add({.name = "types",
            .in = {f32({2, 3}), i64({2, 3}, Fill::integers(0, 1))},
            .attrs = last,
            .throws = "inputs 0 and 1 differ"})
      .add({.name = "axis",
            .in = {f32({2, 3})},
            .attrs = {{"axis", int64_t{2}}},
            .throws = "axis 2 is out of range for [2, 3]"});
}
void samples_split(Samples& s) {
  const auto along = [](int64_t axis, const List& sizes) { return Attrs{{"axis", axis}, {"sizes", sizes}}; };
  s.add({.name = "columns", .in = {f32({5, 11})}, .attrs = along(-1, {3, 1, 7})})
      .add({.name = "many_rows", .in = {f32({37, 5})}, .attrs = along(1, {2, 3})})
      .add({.name = "rows", .in = {f32({5, 4})}, .attrs = along(0, {2, 3})})
      .add({.name = "seventy", .in = {f32({3, 140})}, .attrs = along(-1, List(70, 2))})
      .add({.name = "one", .in = {f32({3})}, .attrs = along(0, {3})})
      .add({.name = "empty_piece", .in = {f32({3, 4})}, .attrs = along(1, {0, 4})})
      .add({.name = "integers", .in = {i64({3, 4}, Fill::integers(-9, 9))}, .attrs = along(1, {1, 3})})
      .add({.name = "bench",
            .in = {f32({2048, 1024})},
            .attrs = along(1, {256, 512, 256}),
            .grad = false,
            .bench = true})
      .add({.name = "total",
            .in = {f32({2, 3})},
            .attrs = along(1, {1, 1}),
            .throws = "the sizes add up to 2, axis 1 of [2, 3] has 3"})
      .add({.name = "negative", .in = {f32({2, 3})}, .attrs = along(1, {3, 1, -1}), .throws = "size -1 is negative"});
}

}  // namespace

void register_concat(Registry& r) {
  r.add({.name = "concat",
         .doc = "y = x_0, x_1, .. side by side along attr axis",
         .infer = infer_concat,
         .grad = grad_concat,
         .samples = samples_concat,
         .tolerance = {.ulp = 0, .exact_integers = true},
         .kernels = {{.name = "reference", .prepare = prepare_concat, .run = run_concat}}});
  r.add({.name = "split",
         .doc = "y_0, y_1, .. = pieces of x of attr sizes along attr axis",
         .infer = infer_split,
         .grad = grad_split,
         .samples = samples_split,
         .tolerance = {.ulp = 0, .exact_integers = true},
         .kernels = {{.name = "reference", .prepare = prepare_split, .run = run_split}}});
}

}  // namespace winnow
