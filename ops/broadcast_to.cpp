#include "core/samples.h"
#include "ops/detail/copy.h"
#include "ops/detail/reduction.h"
#include "ops/reduce.h"

namespace winnow {

using namespace detail;

Value broadcast_to(Value x, const Shape& shape, Loc loc) {
  if (x.shape() == shape) return x;
  return x.graph->apply("broadcast_to", {x}, {{"shape", dims_of(shape)}}, loc);
}

namespace {

struct State {
  Axes axes;  // of y: "reduced" are the axes along which x is repeated
};

Axes axes_of(const NodeSpec& n) {
  const Shape &x = n.in[0].shape, &y = n.out[0].shape;
  std::array<bool, Shape::kMaxRank> repeated{};
  for (int a = 0; a < y.rank(); ++a) {
    const int b = a - (y.rank() - x.rank());
    repeated[static_cast<size_t>(a)] = b < 0 || (x[b] == 1 && y[a] != 1);
  }
  return merge_axes(y, repeated);
}

void infer(Infer& i) {
  i.expect_inputs(1);
  const Shape &x = i.shape(0), y{std::span<const int64_t>(i.attrs().integers("shape"))};
  bool ok = x.rank() <= y.rank();
  for (int a = 1; ok && a <= x.rank(); ++a) ok = x[x.rank() - a] == 1 || x[x.rank() - a] == y[y.rank() - a];
  i.check(ok, "{} does not broadcast to {}", x.str(), y.str());
  i.out(i.dtype(0), y);
}
void grad(Grad& g) { g.dx(0, g.apply("sum_to", {g.dy()}, {{"shape", dims_of(g.x(0).shape())}})); }

const char* reject_blocks(const NodeSpec& n, const DeviceInfo&) {
  return axes_of(n).blocked ? nullptr : "repeats neighbouring axes only";
}
void prepare(const NodeSpec& n, Prepare& p) { p.state<State>().axes = axes_of(n); }

void run_blocks(const Call& c) {
  visit_size(c.in_spec(0).dtype, [&]<class U> {
    const Axes& axes = c.state<State>().axes;
    const int64_t terms = axes.terms, inner = axes.inner;
    const U* x = c.in<U>(0);
    U* y = c.out<U>(0);
    if (inner == 0) return;
    if (inner == 1) {
      parallel_for(axes.outer * terms, kGrainElements, [&](int64_t begin, int64_t end) {
        for (int64_t at = begin; at < end;) {
          const int64_t o = at / terms, stop = std::min(end, (o + 1) * terms);
          std::fill(y + at, y + stop, x[o]);
          at = stop;
        }
      });
      return;
    }
    parallel_for(axes.outer * terms, grain(inner), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r)
        std::memcpy(y + r * inner, x + r / terms * inner, static_cast<size_t>(inner) * sizeof(U));
    });
  });
}

void run_reference(const Call& c) {
  visit_size(c.in_spec(0).dtype, [&]<class U> {
    const Axes& axes = c.state<State>().axes;
    const U* x = c.in<U>(0);
    U* y = c.out<U>(0);
    parallel_for(axes.outputs, grain(axes.terms), [&](int64_t begin, int64_t end) {
      for (int64_t o = begin; o < end; ++o) {
        U* to = y + axes.output_offset(o);
        for (int64_t t = 0; t < axes.terms; ++t) to[axes.term_offset(t)] = x[o];
      }
    });
  });
}

void samples(Samples& s) {
  using List = std::vector<int64_t>;
  s.add({.name = "rows", .in = {f32({13})}, .attrs = {{"shape", List{7, 13}}}})
      .add({.name = "column", .in = {f32({5, 1})}, .attrs = {{"shape", List{5, 9}}}})
      .add({.name = "scalar", .in = {f32({})}, .attrs = {{"shape", List{3, 5}}}, .constant_ok = true})
      .add({.name = "middle", .in = {f32({3, 1, 5})}, .attrs = {{"shape", List{3, 4, 5}}}})
      .add({.name = "apart", .in = {f32({3, 1})}, .attrs = {{"shape", List{4, 3, 5}}}})
      .add({.name = "ends", .in = {f32({2, 1, 3, 1})}, .attrs = {{"shape", List{2, 4, 3, 5}}}})
      .add({.name = "same", .in = {f32({3, 5})}, .attrs = {{"shape", List{3, 5}}}})
      .add({.name = "empty", .in = {f32({1, 5})}, .attrs = {{"shape", List{0, 5}}}})
      .add({.name = "integers", .in = {i64({4, 1}, Fill::integers(-9, 9))}, .attrs = {{"shape", List{4, 3}}}})
      .add({.name = "bench", .in = {f32({1024})}, .attrs = {{"shape", List{2048, 1024}}}, .grad = false, .bench = true})
      .add({.name = "mismatch",
            .in = {f32({3})},
            .attrs = {{"shape", List{3, 4}}},
            .throws = "[3] does not broadcast to [3, 4]"})
      .add({.name = "smaller", .in = {f32({3, 4})}, .attrs = {{"shape", List{4}}}, .throws = "does not broadcast"});
}

}  // namespace

void register_broadcast_to(Registry& r) {
  r.add({.name = "broadcast_to",
         .doc = "y = x repeated to attr shape (NumPy rules)",
         .infer = infer,
         .grad = grad,
         .samples = samples,
         .tolerance = {.ulp = 0, .exact_integers = true},
         .kernels = {{.name = "blocks", .reject = reject_blocks, .prepare = prepare, .run = run_blocks},
                     {.name = "reference", .prepare = prepare, .run = run_reference}}});
}

}  // namespace winnow
