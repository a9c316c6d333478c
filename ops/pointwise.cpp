// Registers the unary operators of ops/pointwise.def.h and their gradients. One kernel each: it is bound by memory or
// by the arithmetic of the function itself, so the plain loop, vectorised and parallel, is the fast form.
#include "ops/pointwise.h"

#include "core/samples.h"
#include "ops/detail/blocks.h"
#include "ops/detail/bound_operator.h"

namespace winnow {

Value relu(Value x, Loc loc) { return x.graph->apply("relu", {x}, {}, loc); }
Value leaky_relu(Value x, double slope, Loc loc) { return x.graph->apply("leaky_relu", {x}, {{"slope", slope}}, loc); }
Value gelu(Value x, Loc loc) { return x.graph->apply("gelu", {x}, {}, loc); }
Value gelu_tanh(Value x, Loc loc) { return x.graph->apply("gelu_tanh", {x}, {}, loc); }
Value silu(Value x, Loc loc) { return x.graph->apply("silu", {x}, {}, loc); }
Value sigmoid(Value x, Loc loc) { return x.graph->apply("sigmoid", {x}, {}, loc); }
Value tanh(Value x, Loc loc) { return x.graph->apply("tanh", {x}, {}, loc); }
Value softplus(Value x, Loc loc) { return x.graph->apply("softplus", {x}, {}, loc); }
Value exp(Value x, Loc loc) { return x.graph->apply("exp", {x}, {}, loc); }
Value log(Value x, Loc loc) { return x.graph->apply("log", {x}, {}, loc); }
Value sqrt(Value x, Loc loc) { return x.graph->apply("sqrt", {x}, {}, loc); }
Value abs(Value x, Loc loc) { return x.graph->apply("abs", {x}, {}, loc); }
Value neg(Value x, Loc loc) { return x.graph->apply("neg", {x}, {}, loc); }
Value square(Value x, Loc loc) { return x.graph->apply("square", {x}, {}, loc); }
Value clamp(Value x, double low, double high, Loc loc) {
  return x.graph->apply("clamp", {x}, {{"low", low}, {"high", high}}, loc);
}
Value affine(Value x, double scale, double shift, Loc loc) {
  return x.graph->apply("affine", {x}, {{"scale", scale}, {"shift", shift}}, loc);
}

namespace {

using pointwise::Bounds, detail::Bound, detail::kParameterCount, detail::Parameters, detail::parameters_of;

template <class Op>
const char* gradient_name() {
  static const std::string name = std::string(Op::kName) + "_grad";
  return name.c_str();
}
template <class Op>
const char* gradient_doc() {
  static const std::string doc =
      fmt::format("dx = dy * derivative of {} at x, from (dy, {})", Op::kName, Op::kGradientReadsOutput ? "y" : "x");
  return doc.c_str();
}

template <class Op>
void check_parameters(const Infer& in) {
  const Parameters p = parameters_of<Op>(in.attrs());
  for (size_t i = 0; i < kParameterCount<Op>; ++i)
    in.check(p.value[i] == p.value[i], "{} is not a number", Op::kParameters[i].name);
  if constexpr (requires { Op::invalid(0.0, 0.0); }) {
    const char* reason = Op::invalid(p.value[0], p.value[1]);
    in.check(reason == nullptr, "{} ({})", reason == nullptr ? "" : reason, in.attrs().str());
  }
}
template <class Op>
void infer_unary(Infer& in) {
  in.expect_inputs(1);
  in.expect_dtype(0, {DType::F32, DType::F64});
  check_parameters<Op>(in);
  in.out(in.in(0));
}
template <class Op>
void infer_gradient(Infer& in) {
  in.expect_inputs(2);
  in.expect_dtype(0, {DType::F32, DType::F64});
  in.expect_same_dtype(0, 1);
  in.expect_shape(1, in.shape(0));
  check_parameters<Op>(in);
  in.out(in.in(0));
}

template <class Op>
void record_gradient(Grad& g) {
  g.dx(0, g.apply(gradient_name<Op>(), {g.dy(), Op::kGradientReadsOutput ? g.y() : g.x(0)}, g.attrs()));
}
template <class Op>
void record_second(Grad& g) {  // linear in dy; constant in x between kinks
  g.dx(0, g.apply(gradient_name<Op>(), {g.dy(), g.x(1)}, g.attrs()));
}

template <class Op>
void prepare(const NodeSpec& node, Prepare& p) {
  p.state<Parameters>(parameters_of<Op>(node.attrs));
}

template <class Op>
void run_unary(const Call& c) {
  visit_float(c.in_spec(0).dtype, Op::kName, [&]<class T> {
    const Bound<Op, T> bound(c.state<Parameters>());
    const T* x = c.in<T>(0);
    T* y = c.out<T>(0);
    detail::for_blocks(c.out_numel(0), [=](int64_t begin, int64_t end) {
      const Bound<Op, T> op = bound;  // in registers: a store to y might otherwise change it
#pragma omp simd
      for (int64_t i = begin; i < end; ++i) y[i] = op.f(x[i]);
    });
  });
}
template <class Op>
void run_gradient(const Call& c) {
  visit_float(c.in_spec(0).dtype, Op::kName, [&]<class T> {
    const Bound<Op, T> bound(c.state<Parameters>());
    const T *dy = c.in<T>(0), *v = c.in<T>(1);
    T* dx = c.out<T>(0);
    detail::for_blocks(c.out_numel(0), [=](int64_t begin, int64_t end) {
      const Bound<Op, T> op = bound;
#pragma omp simd
      for (int64_t i = begin; i < end; ++i) dx[i] = op.gradient(dy[i], v[i]);
    });
  });
}

struct Case {
  const char* name;
  Shape shape;
  bool trivial = false;  // too few elements to tell a constant
};
const std::vector<Case>& cases() {
  static const std::vector<Case> list = {
      {"vector", {7}},      {"matrix", {31, 33}},     {"one", {1}, true},          {"empty", {0, 5}, true},
      {"rank 0", {}, true}, {"rank 4", {2, 3, 1, 5}}, {"past a block", {129, 37}}, {"activations", {1024, 512}}};
  return list;
}

template <class Op>
Attrs sample_attrs() {
  Attrs attrs;
  for (const auto& p : Op::kParameters) attrs.set(p.name, p.sample);
  return attrs;
}
template <class Op>
std::vector<double> kinks() {
  return {Op::kKinks.begin(), Op::kKinks.end()};
}

template <class Op>
void samples_unary(Samples& s) {
  const Fill fill = Fill::uniform(Op::kLow, Op::kHigh, kinks<Op>());
  for (const auto& [name, shape, trivial] : cases()) {
    const bool bench = shape.numel() > 100000;
    s.add({.name = name,
           .in = {f32(shape, fill)},
           .attrs = sample_attrs<Op>(),
           .grad = !bench,
           .bench = bench,
           .constant_ok = trivial});
  }
  const std::vector<double> extremes(Op::kExtremes.begin(), Op::kExtremes.end());
  s.add({.name = "extremes",
         .in = {f32({static_cast<int64_t>(extremes.size())}, Fill::of(extremes))},
         .attrs = sample_attrs<Op>(),
         .grad = false,
         .integers = false,
         .constant_ok = true});
  s.add({.name = "integers",
         .in = {i32({7}, Fill::integers(-3, 3))},
         .attrs = sample_attrs<Op>(),
         .throws = "i32 [7], expected f32 or f64"});
  s.add({.name = "two inputs",
         .in = {f32({7}), f32({7})},
         .attrs = sample_attrs<Op>(),
         .throws = "expected 1 inputs, got 2"});
  if constexpr (requires { Op::invalid(0.0, 0.0); })
    s.add({.name = "invalid parameters",
           .in = {f32({7})},
           .attrs = {{Op::kParameters[0].name, 1.0}, {Op::kParameters[1].name, -1.0}},
           .throws = Op::invalid(1, -1)});
}

template <class Op>
void samples_gradient(Samples& s) {
  double low = Op::kLow, high = Op::kHigh;
  if constexpr (Op::kGradientReadsOutput) low = Op::f(Op::kLow), high = Op::f(Op::kHigh);
  for (const auto& [name, shape, trivial] : cases()) {
    const bool bench = shape.numel() > 100000;
    // a single element stays away from zeros of the derivative, about which no relative bound holds
    const Fill fill = Fill::uniform(trivial ? low + 0.6 * (high - low) : low, high, kinks<Op>());
    s.add({.name = name,
           .in = {f32(shape), fixed(f32(shape, fill))},
           .attrs = sample_attrs<Op>(),
           .grad = !bench,
           .bench = bench,
           .constant_ok = trivial});
  }
  s.add({.name = "another shape",
         .in = {f32({7}), f32({8})},
         .attrs = sample_attrs<Op>(),
         .throws = "input 1 is [8], expected [7]"});
  s.add({.name = "integers",
         .in = {i32({7}, Fill::integers(-3, 3)), f32({7})},
         .attrs = sample_attrs<Op>(),
         .throws = "expected f32 or f64"});
}

constexpr Tolerance tolerance(Bounds b, bool exact) { return {.ulp = b.ulp, .sum = b.sum, .exact_integers = exact}; }

template <class Op>
void register_unary(Registry& r) {
  OpDef op;
  op.name = Op::kName;
  op.doc = Op::kDoc;
  op.infer = infer_unary<Op>;
  op.grad = record_gradient<Op>;
  op.samples = samples_unary<Op>;
  op.tolerance = tolerance(Op::kBounds, Op::kExact);
  op.kernels = {{.name = "reference", .prepare = prepare<Op>, .run = run_unary<Op>}};
  op.inplace = {{0, 0}};
  r.add(std::move(op));

  OpDef gradient;
  gradient.name = gradient_name<Op>();
  gradient.doc = gradient_doc<Op>();
  gradient.infer = infer_gradient<Op>;
  if constexpr (Op::kPiecewiseLinear)
    gradient.grad = record_second<Op>;
  else
    gradient.no_grad = "first-order only";
  gradient.samples = samples_gradient<Op>;
  gradient.tolerance = tolerance(Op::kGradientBounds, Op::kExact);
  gradient.kernels = {{.name = "reference", .prepare = prepare<Op>, .run = run_gradient<Op>}};
  gradient.inplace = {{0, 0}, {1, 0}};
  r.add(std::move(gradient));
}

template <class... Op>
void register_each(pointwise::List<Op...>, Registry& r) {
  (register_unary<Op>(r), ...);
}

}  // namespace

void register_pointwise(Registry& r) { register_each(pointwise::UnaryOperators{}, r); }

}  // namespace winnow
