#include "ops/clip.h"

#include "core/samples.h"
#include "ops/detail/clip_scale.h"
#include "ops/detail/scalar_input.h"
#include "ops/detail/squares.h"

namespace winnow {
namespace {

void infer_norm(Infer& in) {
  const int64_t squares = in.attrs().integer("squares", 0);
  in.check(in.inputs() >= 1, "needs at least one input");
  in.check(squares >= 0 && squares <= in.inputs(), "squares = {} of {} inputs", squares, in.inputs());
  in.expect_dtype(0, {DType::F32, DType::F64});
  in.expect_same_dtype(0, in.inputs() - 1);
  for (int i = in.inputs() - static_cast<int>(squares); i < in.inputs(); ++i) in.expect_shape(i, {});
  in.out(in.dtype(0), {});
}

struct Norm {
  int gradients;
  explicit Norm(const NodeSpec& n)
      : gradients(static_cast<int>(n.in.size()) - static_cast<int>(n.attrs.integer("squares", 0))) {}
};

void prepare_norm(const NodeSpec& n, Prepare& p) {
  const auto& norm = p.state<Norm>(n);
  int64_t blocks = 0;
  for (int i = 0; i < norm.gradients; ++i) blocks += sum_blocks(n.in[static_cast<size_t>(i)].shape.numel());
  p.scratch(static_cast<size_t>(blocks) * sizeof(double));
}

void run_norm(const Call& c) {
  const auto& norm = c.state<Norm>();
  auto* partial = c.scratch_as<double>();
  int64_t used = 0;
  for (int i = 0; i < norm.gradients; ++i) {
    block_sums(c.in<float>(i), c.in_numel(i), partial + used, [](float x) { return x * x; });
    used += sum_blocks(c.in_numel(i));
  }
  double total = 0;
  for (int64_t q = 0; q < used; ++q) total += partial[q];
  for (int i = norm.gradients; i < static_cast<int>(c.spec->in.size()); ++i)
    total += static_cast<double>(*c.in<float>(i));
  *c.out<float>(0) = static_cast<float>(std::sqrt(total));
}

void run_norm_reference(const Call& c) {
  const auto& norm = c.state<Norm>();
  visit_float(c.in_spec(0).dtype, "global_norm()", [&]<class T>() {
    double total = 0;
    for (int i = 0; i < static_cast<int>(c.spec->in.size()); ++i)
      for (int64_t j = 0; j < c.in_numel(i); ++j) {
        const auto x = static_cast<double>(c.in<T>(i)[j]);
        total += i < norm.gradients ? x * x : x;
      }
    *c.out<T>(0) = static_cast<T>(std::sqrt(total));
  });
}

void samples_norm(Samples& s) {
  const Arg square = f32({}, Fill::uniform(1, 5));
  const std::vector<Arg> many(100, f32({3}));
  s.add({"one element", {f32({1})}, {}})
      .add({"three gradients of odd sizes", {f32({7, 3}), f32({129}), f32({3, 5, 2})}, {}})
      .add({"two sums of squares of tables", {f32({33}), square, square}, {{"squares", int64_t{2}}}})
      .add({"tables only", {square}, {{"squares", int64_t{1}}}})
      .add({"a hundred gradients", many, {}})
      .add({"beyond one block", {f32({97, 211}), f32({0, 4})}, {}})
      .add({.name = "nothing but an empty gradient", .in = {f32({0})}, .constant_ok = true})
      .add({.name = "CTR network",
            .in = {f32({429, 400}), f32({400}), f32({400, 400}), f32({400})},
            .grad = false,
            .bench = true})
      .add({.name = "a square that is no scalar",
            .in = {f32({3}), f32({2})},
            .attrs = {{"squares", int64_t{1}}},
            .throws = "input 1 is [2], expected []"})
      .add({.name = "no input", .in = {}, .throws = "at least one input"});
}

struct MaxNorm {
  double value;
};

void infer_scale(Infer& in) {
  in.expect_inputs(1);
  in.expect_dtype(0, {DType::F32, DType::F64});
  in.expect_shape(0, {});
  const double max_norm = in.attrs().number("max_norm");
  in.check(max_norm > 0, "max_norm {} must be positive", max_norm);
  in.out(in.dtype(0), {});
}

void run_scale(const Call& c) {
  const double y = detail::clip_scale(scalar_at(c, 0), c.state<MaxNorm>().value);
  visit_float(c.in_spec(0).dtype, "clip_scale()", [&]<class T>() { *c.out<T>(0) = static_cast<T>(y); });
}

void samples_scale(Samples& s) {
  const auto norm = [](double x) { return std::vector<Arg>{f32({}, Fill::of({x}))}; };
  s.add({"beyond the limit", norm(20), {{"max_norm", 5.0}}})
      .add({"within the limit", norm(2), {{"max_norm", 5.0}}})
      .add({"zero", norm(0), {{"max_norm", 1.0}}})
      .add({.name = "no limit", .in = norm(1), .attrs = {{"max_norm", 0.0}}, .throws = "max_norm 0 must be positive"});
}

}  // namespace

Value global_norm(const std::vector<Value>& gradients, const std::vector<Value>& squares, Loc loc) {
  std::vector<Value> in = gradients;
  in.insert(in.end(), squares.begin(), squares.end());
  WN_CHECK(!in.empty(), Error, "global_norm(): there is no gradient ({})", at_source(loc));
  return in[0].graph->apply_all("global_norm", in, {{"squares", static_cast<int64_t>(squares.size())}}, loc)[0];
}

Value clip_scale(Value norm, double max_norm, Loc loc) {
  return norm.graph->apply("clip_scale", {norm}, {{"max_norm", max_norm}}, loc);
}

void register_clip(Registry& r) {
  r.add({.name = "global_norm",
         .doc = "sqrt(sum of x^2 over all gradients + sum of the trailing `squares` rank-0 inputs)",
         .infer = infer_norm,
         .no_grad = "first-order only: taken of gradients; use l2_penalty for a norm in the loss",
         .samples = samples_norm,
         .tolerance = {.ulp = 4},
         .kernels = {{.name = "blocks",
                      .reject = [](const NodeSpec& n, const DeviceInfo&) -> const char* {
                        return n.in[0].dtype == DType::F64 ? "f64 runs on the reference" : nullptr;
                      },
                      .prepare = prepare_norm,
                      .run = run_norm},
                     {.name = "reference", .prepare = prepare_norm, .run = run_norm_reference}}});
  r.add({.name = "clip_scale",
         .doc = "min(1, max_norm / (norm + 1e-6)), rank 0",
         .infer = infer_scale,
         .no_grad = "first-order only: taken of the norm of gradients",
         .samples = samples_scale,
         .tolerance = {.ulp = 2},
         .kernels = {
             {.name = "reference",
              .prepare = [](const NodeSpec& n, Prepare& p) { p.state<MaxNorm>(MaxNorm{n.attrs.number("max_norm")}); },
              .run = run_scale}}});
}

}  // namespace winnow
