// The losses of one prediction and one label, generated from ops/losses.def.h.
#include "ops/losses.h"

#include "core/samples.h"
#include "ops/detail/grain.h"
#include "ops/detail/loss.h"
#include "ops/detail/loss_node.h"

namespace winnow {

using namespace detail;

Value bce_with_logits(Value logits, Value labels, Value weights, double label_smoothing, Loc loc) {
  return record_loss("bce_with_logits", {logits, labels}, weights, {{"label_smoothing", label_smoothing}}, loc);
}
Value mse(Value predictions, Value labels, Value weights, Loc loc) {
  return record_loss("mse", {predictions, labels}, weights, {}, loc);
}
Value mae(Value predictions, Value labels, Value weights, Loc loc) {
  return record_loss("mae", {predictions, labels}, weights, {}, loc);
}
Value huber(Value predictions, Value labels, double delta, Value weights, Loc loc) {
  return record_loss("huber", {predictions, labels}, weights, {{"delta", delta}}, loc);
}
Value hinge(Value scores, Value labels, Value weights, Loc loc) {
  return record_loss("hinge", {scores, labels}, weights, {}, loc);
}
Value focal(Value logits, Value labels, FocalOptions options, Value weights, Loc loc) {
  return record_loss("focal", {logits, labels}, weights, {{"gamma", options.gamma}, {"alpha", options.alpha}}, loc);
}

namespace {

template <class L>
const char* gradient_name() {
  static const std::string name = std::string(L::kName) + "_grad";
  return name.c_str();
}
template <class L>
const char* gradient_doc() {
  static const std::string doc =
      fmt::format("dx = dloss * w / sum w * dl/dx of {}, from (dloss [], x, labels, [weights])", L::kName);
  return doc.c_str();
}

// Inputs first.. are predictions, labels and perhaps weights.
template <class L>
void check_inputs(const Infer& in, int first) {
  in.expect_inputs(first + 2, first + 3);
  in.expect_dtype(0, {DType::F32, DType::F64});
  in.expect_same_dtype(0, in.inputs() - 1);
  const Shape& x = in.shape(first);
  in.check(in.shape(first + 1) == x, "labels {} and predictions {} differ; reshape one of them",
           in.shape(first + 1).str(), x.str());
  if (in.inputs() == first + 3) {
    const Shape& w = in.shape(first + 2);
    bool leading = w.rank() <= x.rank();
    for (int a = 0; leading && a < w.rank(); ++a) leading = w[a] == x[a];
    in.check(leading, "weights {} are neither of the predictions' shape {} nor of its leading axes", w.str(), x.str());
  }
  if constexpr (requires { L::invalid(0.0, 0.0); }) {
    const auto p = parameters_of<L>(in.attrs());
    const char* reason = L::invalid(p.value[0], p.value[1]);
    in.check(reason == nullptr, "{} ({})", reason == nullptr ? "" : reason, in.attrs().str());
  }
}
template <class L>
void infer_loss(Infer& in) {
  check_inputs<L>(in, 0);
  in.out(in.dtype(0), {});
}
template <class L>
void infer_gradient(Infer& in) {
  check_inputs<L>(in, 1);
  in.expect_rank(0, 0);
  in.out(in.in(1));
}
template <class L>
void record_gradient(Grad& g) {
  refuse_gradients(g, L::kName, L::kSymmetric ? 2 : 1);
  if (!g.needs(0) && !g.needs(1)) return;
  const Value dx = record_loss_gradient(g, gradient_name<L>())[0];
  g.dx(0, dx);
  if (g.needs(1)) g.dx(1, g.apply("neg", {dx}));
}

struct Partial {
  double loss, weight;
};
template <class L>
void prepare_loss(const NodeSpec& node, Prepare& p) {
  const LossNode& s = p.state<LossNode>(LossNode::of<L>(node, 0));
  p.scratch(static_cast<size_t>(loss_blocks(s.n)) * sizeof(Partial));
}
template <class L>
void prepare_gradient(const NodeSpec& node, Prepare& p) {
  p.state<LossNode>(LossNode::of<L>(node, 1));
}

// The weights of predictions begin .. end, in `buffer` unless they lie in memory as they are needed.
template <class T>
const T* weights_of(const T* weights, int64_t inner, int64_t begin, int64_t end, T* buffer) {
  if (weights != nullptr && inner == 1) return weights + begin;
  for (int64_t i = begin; i < end; ++i) buffer[i - begin] = weights == nullptr ? T(1) : weights[i / inner];
  return buffer;
}

template <class L>
void run_loss(const Call& c) {
  visit_float(c.in_spec(0).dtype, L::kName, [&]<class T> {
    const LossNode& s = c.state<LossNode>();
    const T *x = c.in<T>(0), *label = c.in<T>(1), *weights = s.weighted ? c.in<T>(2) : nullptr;
    Partial* partial = c.scratch_as<Partial>();
    const int64_t blocks = loss_blocks(s.n);
    parallel_for(blocks, grain(4 * kLossBlock), [&](int64_t first, int64_t last) {
      const Bound<L, T> op(s.parameters);
      T loss[kLossBlock], buffer[kLossBlock];
      for (int64_t b = first; b < last; ++b) {
        const int64_t begin = b * kLossBlock, n = std::min(kLossBlock, s.n - begin);
        const T* w = weights_of(weights, s.inner, begin, begin + n, buffer);
#pragma omp simd
        for (int64_t i = 0; i < n; ++i) {
          const T l = w[i] * op.f(x[begin + i], label[begin + i]);
          loss[i] = w[i] == T(0) ? T(0) : l;
        }
        partial[b] = {block_sum(loss, n), block_sum(w, n)};
      }
    });
    Partial total{};
    for (int64_t b = 0; b < blocks; ++b) total.loss += partial[b].loss, total.weight += partial[b].weight;
    *c.out<T>(0) = static_cast<T>(weighted_mean(total.loss, total.weight));
  });
}

template <class L>
void run_gradient(const Call& c) {
  visit_float(c.in_spec(0).dtype, L::kName, [&]<class T> {
    const LossNode& s = c.state<LossNode>();
    const T *x = c.in<T>(1), *label = c.in<T>(2), *weights = s.weighted ? c.in<T>(3) : nullptr;
    T* dx = c.out<T>(0);
    const double weight = weight_sum(weights, s.n / s.inner) * static_cast<double>(s.inner);
    const T scale = static_cast<T>(weighted_mean(static_cast<double>(*c.in<T>(0)), weight));
    parallel_for(loss_blocks(s.n), grain(4 * kLossBlock), [&](int64_t first, int64_t last) {
      const Bound<L, T> op(s.parameters);
      T buffer[kLossBlock];
      for (int64_t b = first; b < last; ++b) {
        const int64_t begin = b * kLossBlock, n = std::min(kLossBlock, s.n - begin);
        const T* w = weights_of(weights, s.inner, begin, begin + n, buffer);
#pragma omp simd
        for (int64_t i = 0; i < n; ++i) {
          const T d = scale * w[i] * op.gradient(x[begin + i], label[begin + i]);
          dx[begin + i] = w[i] == T(0) ? T(0) : d;
        }
      }
    });
  });
}

template <class L>
Attrs sample_attrs() {
  Attrs attrs;
  for (const auto& p : L::kParameters) attrs.set(p.name, p.sample);
  return attrs;
}
template <class L>
Arg predictions(const Shape& shape) {
  return f32(shape, Fill::normal(2, {L::kKinks.begin(), L::kKinks.end()}));
}
template <class L>
Arg labels(const Shape& shape) {
  const Arg arg = f32(shape, L::kBinary ? Fill::integers(0, 1) : Fill::normal());
  return L::kSymmetric ? arg : fixed(arg);
}
Arg weights(const Shape& shape) { return fixed(f32(shape, Fill::integers(0, 3))); }

// Samples of the loss, or with the gradient of the loss in front those of its gradient.
template <class L, bool kGradient>
void samples(Samples& s) {
  const auto add = [&](const char* name, std::vector<Arg> in, Sample more = {}) {
    if (kGradient) in.insert(in.begin(), f32({}, Fill::of({0.75})));
    more.name = name;
    more.in = std::move(in);
    if (more.attrs == Attrs{}) more.attrs = sample_attrs<L>();
    more.grad = !kGradient && more.throws.empty() && more.grad;
    s.add(std::move(more));
  };
  // the last element weighs something, so that its prediction matters
  const auto plain = [](const Shape& x) { return std::vector<Arg>{predictions<L>(x), labels<L>(x)}; };
  const auto weighted = [&](const Shape& x, Arg w) {
    auto in = plain(x);
    in.push_back(std::move(w));
    return in;
  };
  add("weighted", weighted({31}, weights({31})), {.constant_ok = kGradient});
  add("unweighted", plain({129}), {.constant_ok = kGradient});
  add("fractional weights", weighted({67}, fixed(f32({67}, Fill::uniform(0.1, 2)))), {.constant_ok = kGradient});
  add("weights of rows", weighted({17, 3}, weights({17})), {.constant_ok = kGradient});
  add("column", weighted({7, 1}, fixed(f32({7}, Fill::uniform(0.5, 2)))), {.constant_ok = kGradient});
  add("one", weighted({1}, fixed(f32({1}, Fill::of({2})))), {.constant_ok = true});
  add("rank 0", plain({}), {.constant_ok = true});
  add("empty", weighted({0}, weights({0})), {.constant_ok = true});
  add("no weight", weighted({5}, fixed(f32({5}, Fill::of({0, 0, 0, 0, 0})))), {.constant_ok = true});
  add("past a block", weighted({4099}, weights({4099})), {.constant_ok = kGradient});
  add("large batch", weighted({65536}, weights({65536})), {.grad = false, .bench = true, .constant_ok = kGradient});
  const double far = kGradient ? 28 : 90;  // a derivative that underflows in float cannot be compared with double
  add("extremes", {f32({6}, Fill::of({-far, -9, -1e-3, 1e-3, 9, far})), fixed(f32({6}, Fill::of({0, 1, 1, 0, 0, 1})))},
      {.grad = false, .constant_ok = kGradient});
  add("labels of another shape", {predictions<L>({7}), labels<L>({7, 1})},
      {.throws = "labels [7, 1] and predictions [7] differ"});
  add("weights of another shape", weighted({7, 2}, weights({2})), {.throws = "weights [2] are neither"});
  add("integers", {i64({7}, Fill::integers(0, 1)), i64({7}, Fill::integers(0, 1))},
      {.throws = kGradient ? "inputs 0 and 1 differ" : "expected f32 or f64"});
  if constexpr (kParameterCount < L >> 0)
    add("invalid parameter", plain({7}), {.attrs = {{L::kParameters[0].name, -1.0}}, .throws = L::invalid(-1, 0)});
}

template <class L>
void register_loss(Registry& r) {
  OpDef op;
  op.name = L::kName;
  op.doc = L::kDoc;
  op.infer = infer_loss<L>;
  op.grad = record_gradient<L>;
  op.samples = samples<L, false>;
  op.tolerance = {.ulp = 4};
  op.kernels = {{.name = "reference", .prepare = prepare_loss<L>, .run = run_loss<L>}};
  r.add(std::move(op));

  OpDef gradient;
  gradient.name = gradient_name<L>();
  gradient.doc = gradient_doc<L>();
  gradient.infer = infer_gradient<L>;
  gradient.no_grad = "first-order only";
  gradient.samples = samples<L, true>;
  gradient.tolerance = {.ulp = 6, .sum = 2};
  gradient.kernels = {{.name = "reference", .prepare = prepare_gradient<L>, .run = run_gradient<L>}};
  gradient.inplace = {{1, 0}};
  r.add(std::move(gradient));
}
template <class... L>
void register_each(losses::List<L...>, Registry& r) {
  (register_loss<L>(r), ...);
}

}  // namespace

void register_losses(Registry& r) { register_each(losses::All{}, r); }

}  // namespace winnow
