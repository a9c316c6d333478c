// Registers the binary operators of ops/pointwise.def.h and the gradient operators of those that need one.
#include "ops/binary.h"

#include <tuple>

#include "core/samples.h"
#include "ops/detail/binary_functions.h"
#include "ops/detail/broadcast.h"
#include "ops/pointwise.def.h"
#include "ops/reduce.h"

namespace winnow {

Value add(Value a, Value b, Loc loc) { return a.graph->apply("add", {a, b}, {}, loc); }
Value sub(Value a, Value b, Loc loc) { return a.graph->apply("sub", {a, b}, {}, loc); }
Value mul(Value a, Value b, Loc loc) { return a.graph->apply("mul", {a, b}, {}, loc); }
Value div(Value a, Value b, Loc loc) { return a.graph->apply("div", {a, b}, {}, loc); }
Value maximum(Value a, Value b, Loc loc) { return a.graph->apply("maximum", {a, b}, {}, loc); }
Value minimum(Value a, Value b, Loc loc) { return a.graph->apply("minimum", {a, b}, {}, loc); }

namespace {

using namespace detail;
using pointwise::Chain;

template <class Op>
const char* gradient_name() {
  static const std::string name = std::string(Op::kName) + "_grad";
  return name.c_str();
}
template <class Op>
const char* gradient_doc() {
  static const std::string doc = fmt::format(
      "the gradient of {} (dy, a, b) with respect to a (wrt=0) or b (wrt=1), in the broadcast shape", Op::kName);
  return doc.c_str();
}

// The broadcast shape of inputs first and first + 1.
Shape broadcast_inputs(const Infer& in, int first) {
  try {
    return broadcast(in.shape(first), in.shape(first + 1));
  } catch (const ShapeError& error) { in.fail(error.what()); }
}
void infer_binary(Infer& in) {
  in.expect_inputs(2);
  in.expect_dtype(0, {DType::F32, DType::F64});
  in.expect_same_dtype(0, 1);
  in.out(in.dtype(0), broadcast_inputs(in, 0));
}
void infer_gradient(Infer& in) {
  in.expect_inputs(3);
  in.expect_dtype(0, {DType::F32, DType::F64});
  in.expect_same_dtype(0, 2);
  const int64_t wrt = in.attrs().integer("wrt");
  in.check(wrt == 0 || wrt == 1, "wrt must be 0 or 1, not {}", wrt);
  in.expect_shape(0, broadcast_inputs(in, 1));
  in.out(in.in(0));
}

template <class Op>
void record_gradient(Grad& g) {
  const Value dy = g.dy(), a = g.x(0), b = g.x(1);
  for (const int i : {0, 1}) {
    if (!g.needs(i)) continue;
    Value d = dy;
    if constexpr (Op::kChain == Chain::Sum) {
      if (i == 1 && Op::kSign < 0) d = g.apply("neg", {dy});
    } else if constexpr (Op::kChain == Chain::Product) {
      d = g.apply("mul", {dy, i == 0 ? b : a});
    } else {
      d = g.apply(gradient_name<Op>(), {dy, a, b}, {{"wrt", int64_t{i}}});
    }
    g.dx(i, sum_to(d, g.x(i).shape(), g.loc()));
  }
}

template <int K>
struct State {
  BroadcastPlan<K> plan;
  bool by_b = false;
};
template <int K>
void prepare(const NodeSpec& node, Prepare& p) {
  std::array<Shape, K> shapes;
  for (size_t k = 0; k < K; ++k) shapes[k] = node.in[k].shape;
  State<K>& state = p.state<State<K>>();
  state.plan = plan_broadcast<K>(node.out[0].shape, shapes);
  state.by_b = K == 3 && node.attrs.flag("wrt");
}

template <class F, class T, unsigned kDense, int K, size_t... I>
void run_row(const std::array<const T*, K>& in, T* y, int64_t n, std::index_sequence<I...>) {
  const std::tuple<RowOperand<(kDense >> I & 1u) != 0, T>...> operand{RowOperand<(kDense >> I & 1u) != 0, T>(in[I])...};
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] = F::f(std::get<I>(operand)[i]...);
}
template <class F, int K>
void run_rows(const Call& c) {
  visit_float(c.out_spec(0).dtype, c.spec->op->name, [&]<class T> {
    const auto& plan = c.state<State<K>>().plan;
    std::array<const T*, K> base{};
    for (int k = 0; k < K; ++k) base[static_cast<size_t>(k)] = c.in<T>(k);
    T* y = c.out<T>(0);
    visit_dense(plan, [&]<unsigned kDense>(std::integral_constant<unsigned, kDense>) {
      for_rows(plan, [=](int64_t out, const Offsets<K>& offset, int64_t n) {
        std::array<const T*, K> in{};
        for (size_t k = 0; k < K; ++k) in[k] = base[k] + offset[k];
        run_row<F, T, kDense, K>(in, y + out, n, std::make_index_sequence<K>{});
      });
    });
  });
}
template <class F, int K>
void run_reference(const Call& c) {
  visit_float(c.out_spec(0).dtype, c.spec->op->name, [&]<class T> {
    T* y = c.out<T>(0);
    const Shape& shape = c.out_spec(0).shape;
    parallel_for(c.out_numel(0), kGrainElements / 8, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) y[i] = [&]<size_t... I>(std::index_sequence<I...>) {
          return F::f(c.in<T>(int{I})[broadcast_offset(shape, c.in_spec(int{I}).shape, i)]...);
        }
      (std::make_index_sequence<K>{});
    });
  });
}
template <class Op>
void run_gradient_rows(const Call& c) {
  c.state<State<3>>().by_b ? run_rows<ByB<Op>, 3>(c) : run_rows<ByA<Op>, 3>(c);
}
template <class Op>
void run_gradient_reference(const Call& c) {
  c.state<State<3>>().by_b ? run_reference<ByB<Op>, 3>(c) : run_reference<ByA<Op>, 3>(c);
}

struct Pair {
  const char* name;
  Shape a, b;
  bool trivial = false, large = false;
};
const std::vector<Pair>& pairs() {
  static const std::vector<Pair> list = {
      {"same shape", {31, 33}, {31, 33}},
      {"vector", {7}, {7}},
      {"one", {1}, {1}, true},
      {"rank 0", {}, {}, true},
      {"empty", {0, 5}, {5}, true},
      {"empty rows", {3, 0}, {3, 1}, true},
      {"scalar right", {17, 3}, {}},
      {"scalar left", {}, {129}},
      {"row", {17, 33}, {33}},
      {"row left", {5}, {4, 5}},
      {"column", {31, 7}, {31, 1}},
      {"column left", {31, 1}, {31, 7}},
      {"outer", {5, 1}, {1, 7}},
      {"middle axis", {3, 4, 5}, {3, 1, 5}},
      {"alternating", {2, 1, 3, 1, 2}, {5, 1, 2, 2}},
      {"long rows", {2, 5000}, {2, 1}},
      {"long repeated row", {3, 4099}, {4099}},
      {"batch", {4096, 256}, {4096, 256}, false, true},
      {"bias", {4096, 256}, {256}, false, true},
      {"gate", {4096, 256}, {4096, 1}, false, true},
  };
  return list;
}

// Operands of extrema lie apart, on either side of each other.
template <class Op>
void samples_binary(Samples& s) {
  const bool extremum = std::string_view(Op::kName) == "maximum" || std::string_view(Op::kName) == "minimum";
  const Fill a = extremum ? Fill::uniform(-1, 1, {-0.1, -0.05, 0, 0.05, 0.1}) : Fill::uniform(-3, 3);
  const Fill b = extremum ? Fill::uniform(-0.1, 0.1) : Fill::uniform(Op::kLow, Op::kHigh);
  for (const Pair& p : pairs()) {
    const bool swapped = extremum && p.a.rank() == 0;  // one wide scalar could hide all of the other operand
    s.add({.name = p.name,
           .in = {f32(p.a, swapped ? b : a), f32(p.b, swapped ? a : b)},
           .grad = !p.large,
           .bench = p.large,
           .constant_ok = p.trivial});
  }
  s.add(
      {.name = "extremes",
       .in = {f32({6}, Fill::of({-1e30, 1e-30, 3e5, -1, 0, 2})), f32({6}, Fill::of({3e5, 2, -1e30, 1e-5, 1, -1e-30}))},
       .grad = false,
       .integers = false});
  s.add({.name = "unequal",
         .in = {f32({7, 4}), f32({3})},
         .throws = "[7, 4] and [3] do not broadcast: 4 != 3 at axis 1"});
  s.add({.name = "integers",
         .in = {i64({7}, Fill::integers(0, 3)), i64({7}, Fill::integers(0, 3))},
         .throws = "i64 [7], expected f32 or f64"});
  s.add({.name = "mixed types",
         .in = {f32({7}), {{DType::F64, {7}}, Fill::normal()}},
         .throws = "inputs 0 and 1 differ"});
  s.add({.name = "one input", .in = {f32({7})}, .throws = "expected 2 inputs, got 1"});
}

template <class Op>
void samples_gradient(Samples& s) {
  for (const int64_t wrt : {0, 1}) {
    const Attrs attrs{{"wrt", wrt}};
    for (const Pair& p : pairs()) {
      const Shape out = broadcast(p.a, p.b);
      s.add(
          {.name = fmt::format("{}, wrt {}", p.name, wrt == 0 ? "a" : "b"),
           .in = {f32(out), fixed(f32(p.a, Fill::uniform(-3, 3))), fixed(f32(p.b, Fill::uniform(Op::kLow, Op::kHigh)))},
           .attrs = attrs,
           .bench = p.large,
           .constant_ok = p.trivial || !std::is_same_v<Op, pointwise::Div>});
    }
  }
  const Fill ties = Fill::of({1, 2, 1, -3});
  s.add({.name = "equal operands",
         .in = {f32({4}), fixed(f32({4}, ties)), fixed(f32({4}, ties))},
         .attrs = {{"wrt", int64_t{0}}}});
  s.add({.name = "no third operand",
         .in = {f32({4}), f32({4}), f32({4})},
         .attrs = {{"wrt", int64_t{2}}},
         .throws = "wrt must be 0 or 1"});
  s.add({.name = "gradient of another shape",
         .in = {f32({4}), f32({4, 4}), f32({4})},
         .attrs = {{"wrt", int64_t{0}}},
         .throws = "input 0 is [4], expected [4, 4]"});
}

template <class Op>
void register_gradient(Registry& r) {
  OpDef op;
  op.name = gradient_name<Op>();
  op.doc = gradient_doc<Op>();
  op.infer = infer_gradient;
  op.no_grad = "first-order only";
  op.samples = samples_gradient<Op>;
  op.tolerance = {.ulp = Op::kGradientBounds.ulp, .sum = Op::kGradientBounds.sum, .exact_integers = false};
  op.kernels = {{.name = "rows", .prepare = prepare<3>, .run = run_gradient_rows<Op>},
                {.name = "reference", .prepare = prepare<3>, .run = run_gradient_reference<Op>}};
  op.inplace = {{0, 0}, {1, 0}, {2, 0}};
  r.add(std::move(op));
}
template <class Op>
void register_operator(Registry& r) {
  OpDef op;
  op.name = Op::kName;
  op.doc = Op::kDoc;
  op.infer = infer_binary;
  op.grad = record_gradient<Op>;
  op.samples = samples_binary<Op>;
  op.tolerance = {.ulp = Op::kBounds.ulp, .sum = Op::kBounds.sum, .exact_integers = Op::kExact};
  op.kernels = {{.name = "rows", .prepare = prepare<2>, .run = run_rows<Forward<Op>, 2>},
                {.name = "reference", .prepare = prepare<2>, .run = run_reference<Forward<Op>, 2>}};
  op.inplace = {{0, 0}, {1, 0}};
  r.add(std::move(op));
  if constexpr (Op::kChain == Chain::Own) register_gradient<Op>(r);
}
template <class... Op>
void register_each(pointwise::List<Op...>, Registry& r) {
  (register_operator<Op>(r), ...);
}

}  // namespace

void register_binary(Registry& r) { register_each(pointwise::BinaryOperators{}, r); }

}  // namespace winnow
