#include "core/samples.h"
#include "ops/shape_ops.h"

namespace winnow {

namespace {

using List = std::vector<int64_t>;

std::string text(const List& dims) {
  std::string s;
  for (const int64_t d : dims) s += (s.empty() ? "" : ", ") + std::to_string(d);
  return "[" + s + "]";
}

// Replaces an extent of -1 by what is left of the elements.
void resolve(Infer& i, List& dims) {
  int64_t open = -1, known = 1;
  const std::string asked = text(dims);
  for (size_t a = 0; a < dims.size(); ++a) {
    i.check(dims[a] >= -1, "extent {} of {} is negative", dims[a], asked);
    if (dims[a] >= 0)
      i.check(!__builtin_mul_overflow(known, dims[a], &known), "{} has too many elements", asked);
    else
      i.check(open < 0, "{} has more than one -1", asked), open = static_cast<int64_t>(a);
  }
  if (open < 0) return;
  const int64_t numel = i.shape(0).numel();
  i.check(known > 0 && numel % known == 0, "{} has {} elements, which do not fit {}", i.shape(0).str(), numel, asked);
  dims[static_cast<size_t>(open)] = numel / known;
}

void infer_reshape(Infer& i) {
  i.expect_inputs(1);
  List dims = i.attrs().integers("shape");
  resolve(i, dims);
  const Shape y{std::span<const int64_t>(dims)};
  i.check(y.numel() == i.shape(0).numel(), "{} has {} elements, {} has {}", i.shape(0).str(), i.shape(0).numel(),
          y.str(), y.numel());
  i.out(i.dtype(0), y);
}

void grad_reshape(Grad& g) {
  const auto dims = g.x(0).shape().dims();
  g.dx(0, g.apply("reshape", {g.dy()}, {{"shape", List(dims.begin(), dims.end())}}));
}

void samples(Samples& s) {
  s.add({.name = "merge", .in = {f32({3, 5})}, .attrs = {{"shape", List{15}}}})
      .add({.name = "open", .in = {f32({4, 6})}, .attrs = {{"shape", List{2, -1, 3}}}})
      .add({.name = "integers", .in = {i64({2, 3}, Fill::integers(-4, 9))}, .attrs = {{"shape", List{3, 2}}}})
      .add({.name = "scalar", .in = {f32({1, 1})}, .attrs = {{"shape", List{}}}})
      .add({.name = "empty", .in = {f32({0, 3})}, .attrs = {{"shape", List{5, 0}}}})
      .add({.name = "sizes",
            .in = {f32({3, 5})},
            .attrs = {{"shape", List{4, 4}}},
            .throws = "[3, 5] has 15 elements, [4, 4] has 16"})
      .add({.name = "open_size",
            .in = {f32({3, 5})},
            .attrs = {{"shape", List{4, -1}}},
            .throws = "which do not fit [4, -1]"})
      .add({.name = "two_open", .in = {f32({3, 5})}, .attrs = {{"shape", List{-1, -1}}}, .throws = "more than one -1"})
      .add({.name = "negative", .in = {f32({3, 5})}, .attrs = {{"shape", List{-3, -5}}}, .throws = "is negative"});
}

}  // namespace

Value reshape(Value x, const List& shape, Loc loc) { return x.graph->apply("reshape", {x}, {{"shape", shape}}, loc); }

void register_reshape(Registry& r) {
  r.add({.name = "reshape",
         .doc = "y = x under attr shape; one extent may be -1",
         .infer = infer_reshape,
         .grad = grad_reshape,
         .samples = samples,
         .tolerance = {.ulp = 0, .exact_integers = true},
         .kernels = {},
         .alias = true});
}

}  // namespace winnow
