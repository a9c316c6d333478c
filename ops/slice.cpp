// slice, and slice_grad, which puts a slice back among zeros.
#include "core/samples.h"
#include "ops/detail/copy.h"
#include "ops/detail/row_pieces.h"
#include "ops/shape_ops.h"

namespace winnow {

using namespace detail;

Value slice(Value x, int64_t axis, int64_t begin, int64_t end, Loc loc) {
  return x.graph->apply("slice", {x}, {{"axis", axis}, {"begin", begin}, {"end", end}}, loc);
}

namespace {

void infer_slice(Infer& i) {
  i.expect_inputs(1);
  const int axis = i.axis();
  const int64_t extent = i.shape(0)[axis];
  const int64_t from = i.attrs().integer("begin"), to = i.attrs().integer("end");
  const int64_t begin = from < 0 ? from + extent : from, end = to < 0 ? to + extent : to;
  i.check(0 <= begin && begin <= end && end <= extent, "[{}:{}] is out of range for axis {} of {}", from, to, axis,
          i.shape(0).str());
  i.out(i.dtype(0), i.shape(0).with(axis, end - begin));
}
void grad_slice(Grad& g) {
  const int64_t axis = g.attrs().integer("axis"), begin = g.attrs().integer("begin");
  const Shape& x = g.x(0).shape();
  const int64_t extent = x[static_cast<int>(axis < 0 ? axis + x.rank() : axis)];
  g.dx(0, g.apply("slice_grad", {g.dy()},
                  {{"axis", axis}, {"begin", begin < 0 ? begin + extent : begin}, {"extent", extent}}));
}
void prepare_slice(const NodeSpec& n, Prepare& p) { p.state<RowSlice>() = row_slice(n.in[0], n.out[0], n.attrs); }
void run_slice(const Call& c) {
  const RowSlice& s = c.state<RowSlice>();
  copy_blocks(s.outer, s.piece, c.in<char>(0) + s.offset, s.width, c.out<char>(0), s.piece);
}

void infer_slice_grad(Infer& i) {
  i.expect_inputs(1);
  const int axis = i.axis();
  const int64_t begin = i.attrs().integer("begin"), extent = i.attrs().integer("extent");
  i.check(begin >= 0 && extent >= i.shape(0)[axis] && begin <= extent - i.shape(0)[axis],
          "{} does not fit axis {} of extent {} at {}", i.shape(0).str(), axis, extent, begin);
  i.out(i.dtype(0), i.shape(0).with(axis, extent));
}
void grad_slice_grad(Grad& g) {
  const int64_t axis = g.attrs().integer("axis"), begin = g.attrs().integer("begin");
  const Shape& piece = g.x(0).shape();
  const int64_t size = piece[static_cast<int>(axis < 0 ? axis + piece.rank() : axis)];
  g.dx(0, g.apply("slice", {g.dy()}, {{"axis", axis}, {"begin", begin}, {"end", begin + size}}));
}
void prepare_slice_grad(const NodeSpec& n, Prepare& p) { p.state<RowSlice>() = row_slice(n.out[0], n.in[0], n.attrs); }
void run_slice_grad(const Call& c) {
  const RowSlice& s = c.state<RowSlice>();
  const char* dy = c.in<char>(0);
  char* dx = c.out<char>(0);
  if (s.width == 0) return;
  if (s.outer == 1) {
    zero_bytes(dx, s.offset);
    copy_blocks(1, s.piece, dy, s.piece, dx + s.offset, s.piece);
    zero_bytes(dx + s.offset + s.piece, s.width - s.offset - s.piece);
    return;
  }
  parallel_for(s.outer, std::max<int64_t>(1, kCopyGrain / std::max<int64_t>(1, s.width)),
               [&](int64_t begin, int64_t end) {
                 for (int64_t o = begin; o < end; ++o) {
                   char* row = dx + o * s.width;
                   std::memset(row, 0, static_cast<size_t>(s.offset));
                   std::memcpy(row + s.offset, dy + o * s.piece, static_cast<size_t>(s.piece));
                   std::memset(row + s.offset + s.piece, 0, static_cast<size_t>(s.width - s.offset - s.piece));
                 }
               });
}

void samples_slice(Samples& s) {
  const auto at = [](int64_t axis, int64_t begin, int64_t end) {
    return Attrs{{"axis", axis}, {"begin", begin}, {"end", end}};
  };
  s.add({.name = "columns", .in = {f32({5, 11})}, .attrs = at(-1, 3, 8)})
      .add({.name = "rows", .in = {f32({7, 3})}, .attrs = at(0, 2, 3)})
      .add({.name = "middle", .in = {f32({2, 5, 3})}, .attrs = at(1, 1, -1)})
      .add({.name = "from_end", .in = {f32({9})}, .attrs = at(0, -4, -1)})
      .add({.name = "whole", .in = {f32({3, 4})}, .attrs = at(1, 0, 4)})
      .add({.name = "nothing", .in = {f32({3, 4})}, .attrs = at(1, 4, 4)})
      .add({.name = "integers", .in = {i64({3, 4}, Fill::integers(-9, 9))}, .attrs = at(1, 1, 3)})
      .add({.name = "bench", .in = {f32({2048, 1024})}, .attrs = at(1, 256, 768), .grad = false, .bench = true})
      .add({.name = "end",
            .in = {f32({3, 4})},
            .attrs = at(1, 1, 5),
            .throws = "[1:5] is out of range for axis 1 of [3, 4]"})
      .add({.name = "reversed", .in = {f32({3, 4})}, .attrs = at(1, 3, 1), .throws = "[3:1] is out of range"})
      .add({.name = "axis", .in = {f32({3, 4})}, .attrs = at(2, 0, 1), .throws = "axis 2 is out of range"});
}
void samples_slice_grad(Samples& s) {
  const auto at = [](int64_t axis, int64_t begin, int64_t extent) {
    return Attrs{{"axis", axis}, {"begin", begin}, {"extent", extent}};
  };
  s.add({.name = "columns", .in = {f32({5, 6})}, .attrs = at(-1, 2, 9)})
      .add({.name = "rows", .in = {f32({4, 3})}, .attrs = at(0, 1, 7)})
      .add({.name = "one", .in = {f32({1})}, .attrs = at(0, 0, 1)})
      .add({.name = "even", .in = {f32({3, 8})}, .attrs = at(1, 4, 16)})
      .add({.name = "nothing", .in = {f32({3, 0})}, .attrs = at(1, 2, 4), .constant_ok = true})
      .add({.name = "extent",
            .in = {f32({3, 4})},
            .attrs = at(1, 2, 5),
            .throws = "[3, 4] does not fit axis 1 of extent 5 at 2"});
}

}  // namespace

void register_slice(Registry& r) {
  r.add({.name = "slice",
         .doc = "y = x[.., begin:end, ..] along attr axis",
         .infer = infer_slice,
         .grad = grad_slice,
         .samples = samples_slice,
         .tolerance = {.ulp = 0, .exact_integers = true},
         .kernels = {{.name = "reference", .prepare = prepare_slice, .run = run_slice}}});
  r.add({.name = "slice_grad",
         .doc = "dx = dy at attr begin of attr axis among zeros of attr extent",
         .infer = infer_slice_grad,
         .grad = grad_slice_grad,
         .samples = samples_slice_grad,
         .tolerance = {.ulp = 0, .exact_integers = true},
         .kernels = {{.name = "reference", .prepare = prepare_slice_grad, .run = run_slice_grad}}});
}

}  // namespace winnow
