// softmax_cross_entropy and its gradient. Contract: ops/losses.h.
#include "core/cpu/exp_rows.h"
#include "core/math.h"
#include "core/samples.h"
#include "ops/detail/grain.h"
#include "ops/detail/lanes.h"
#include "ops/detail/loss.h"
#include "ops/losses.h"

namespace winnow {

using namespace detail;

Value softmax_cross_entropy(Value logits, Value labels, Value weights, double label_smoothing, Loc loc) {
  return record_loss("softmax_cross_entropy", {logits, labels}, weights, {{"label_smoothing", label_smoothing}}, loc);
}

namespace {

struct State {
  double smoothing = 0;
  int64_t rows = 0, classes = 0;
};

void check_inputs(const Infer& in, int first) {
  in.expect_inputs(first + 2, first + 3);
  in.expect_dtype(first, {DType::F32, DType::F64});
  in.expect_dtype(first + 1, {DType::I64});
  const Shape& logits = in.shape(first);
  in.check(logits.rank() >= 1 && logits.back() > 0, "logits {} need a last axis of classes", logits.str());
  in.expect_shape(first + 1, logits.without(logits.rank() - 1));
  if (in.inputs() == first + 3) {
    in.expect_dtype(first + 2, {in.dtype(first)});
    in.expect_shape(first + 2, in.shape(first + 1));
  }
  const double smoothing = in.attrs().number("label_smoothing", 0);
  in.check(smoothing >= 0 && smoothing < 1, "label_smoothing {} is not in [0, 1)", smoothing);
}
void infer_loss(Infer& in) {
  check_inputs(in, 0);
  in.out(in.dtype(0), {});
}
void infer_gradient(Infer& in) {
  check_inputs(in, 1);
  in.expect_dtype(0, {in.dtype(1)});
  in.expect_rank(0, 0);
  in.out(in.in(1));
}
void record_gradient(Grad& g) {
  refuse_gradients(g, "softmax_cross_entropy", 1);
  g.dx(0, record_loss_gradient(g, "softmax_cross_entropy_grad")[0]);
}

State& prepare_state(const NodeSpec& node, Prepare& p, size_t first) {
  State& s = p.state<State>();
  s.smoothing = node.attrs.number("label_smoothing", 0);
  s.rows = node.in[first + 1].shape.numel();
  s.classes = node.in[first].shape.back();
  return s;
}
void prepare_loss(const NodeSpec& node, Prepare& p) {
  p.scratch(static_cast<size_t>(prepare_state(node, p, 0).rows) * sizeof(double));
}
void prepare_gradient(const NodeSpec& node, Prepare& p) { prepare_state(node, p, 1); }

// The weight of row i: 0 where the label is missing.
template <class T>
T row_weight(const State& s, const int64_t* labels, const T* weights, int64_t i) {
  return labels[i] < 0 || labels[i] >= s.classes ? T(0) : weight_of(weights, i);
}
template <class T>
double total_weight(const State& s, const int64_t* labels, const T* weights) {
  double lane[8] = {};
  for (int64_t i = 0; i < s.rows; ++i) lane[i % 8] += static_cast<double>(row_weight(s, labels, weights, i));
  return block_sum(lane, 8);
}

// Whether rows are taken by the kernels of core/cpu/exp_rows.h (float).
enum class Rows { Plain, Vectors };

// The largest of a row, the sum of exp(x - largest) and, where e is not null (it may be x), these.
template <Rows kRows, class T>
double exponentials(int64_t classes, const T* x, T& most, T* e) {
  if constexpr (kRows == Rows::Vectors) {
    most = cpu::exp_row_kernels().largest(classes, x);
    return cpu::exp_row_kernels().exp_sum(classes, x, most, e);
  } else {
    most = row_extremum<true>(classes, x);
    double z = 0;
    T own[kLossBlock];
    for (int64_t first = 0; first < classes; first += kLossBlock) {
      const int64_t n = std::min(kLossBlock, classes - first);
      T* to = e == nullptr ? own : e + first;
#pragma omp simd
      for (int64_t c = 0; c < n; ++c) to[c] = math::exp(x[first + c] - most);
      z += block_sum(to, n);
    }
    return z;
  }
}

template <Rows kRows, class T>
double row_loss(const State& s, const T* x, int64_t label) {
  T most;
  const double z = exponentials<kRows, T>(s.classes, x, most, nullptr);
  double loss = std::log(z) + (1 - s.smoothing) * static_cast<double>(most - x[label]);
  if (s.smoothing > 0)  // mean of (most - x)
    loss += s.smoothing * (static_cast<double>(most) - block_sum(x, s.classes) / static_cast<double>(s.classes));
  return loss;
}

// dx = scale * (softmax(x) - target); dx may be x
template <Rows kRows, class T>
void row_gradient(const State& s, const T* x, int64_t label, T scale, T* dx) {
  T most;
  const double z = exponentials<kRows, T>(s.classes, x, most, dx);
  const T inverse = static_cast<T>(1 / z), share = static_cast<T>(s.smoothing / static_cast<double>(s.classes));
  const double others = z - static_cast<double>(dx[label]);  // 1 - p of the label, which would round to 0 in T
#pragma omp simd
  for (int64_t c = 0; c < s.classes; ++c) dx[c] = scale * math::fma(dx[c], inverse, -share);
  dx[label] = scale * static_cast<T>(s.smoothing - others / z - s.smoothing / static_cast<double>(s.classes));
}

template <int kInput>
const char* reject_vectors(const NodeSpec& node, const DeviceInfo&) {
  return node.in[kInput].dtype == DType::F32 ? nullptr : "f32 only";
}

template <Rows kRows, class T>
void loss_of(const Call& c) {
  const State& s = c.state<State>();
  const T *x = c.in<T>(0), *weights = c.spec->in.size() == 3 ? c.in<T>(2) : nullptr;
  const int64_t* labels = c.in<int64_t>(1);
  double* loss = c.scratch_as<double>();
  parallel_for(s.rows, grain(8 * s.classes), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const T w = row_weight(s, labels, weights, i);
      loss[i] = w == T(0) ? 0 : static_cast<double>(w) * row_loss<kRows>(s, x + i * s.classes, labels[i]);
    }
  });
  *c.out<T>(0) = static_cast<T>(weighted_mean(block_sum(loss, s.rows), total_weight(s, labels, weights)));
}
void run_loss(const Call& c) {
  visit_float(c.in_spec(0).dtype, "softmax_cross_entropy", [&]<class T> { loss_of<Rows::Plain, T>(c); });
}
template <Rows kRows, class T>
void gradient_of(const Call& c) {
  const State& s = c.state<State>();
  const T *x = c.in<T>(1), *weights = c.spec->in.size() == 4 ? c.in<T>(3) : nullptr;
  const int64_t* labels = c.in<int64_t>(2);
  T* dx = c.out<T>(0);
  const double mean = weighted_mean(static_cast<double>(*c.in<T>(0)), total_weight(s, labels, weights));
  parallel_for(s.rows, grain(8 * s.classes), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const T w = row_weight(s, labels, weights, i);
      T* row = dx + i * s.classes;
      if (w == T(0))
        std::fill(row, row + s.classes, T(0));
      else
        row_gradient<kRows>(s, x + i * s.classes, labels[i], static_cast<T>(mean * static_cast<double>(w)), row);
    }
  });
}
void run_gradient(const Call& c) {
  visit_float(c.in_spec(1).dtype, "softmax_cross_entropy_grad", [&]<class T> { gradient_of<Rows::Plain, T>(c); });
}

template <bool kGradient>
void samples(Samples& s) {
  const auto add = [&](const std::string& name, std::vector<Arg> in, double smoothing, Sample more = {}) {
    if (kGradient) in.insert(in.begin(), f32({}, Fill::of({0.75})));
    more.name = name;
    more.in = std::move(in);
    more.attrs = {{"label_smoothing", smoothing}};
    more.grad = !kGradient && more.throws.empty() && more.grad;
    s.add(std::move(more));
  };
  const auto positive = [](const Shape& shape) { return fixed(f32(shape, Fill::uniform(0.5, 2))); };
  add("weighted", {f32({17, 5}), i64({17}, Fill::integers(0, 4)), positive({17})}, 0);
  add("unweighted, smoothed", {f32({31, 33}, Fill::normal(4)), i64({31}, Fill::integers(0, 32))}, 0.1);
  add("smoothed weighted", {f32({7, 10}), i64({7}, Fill::integers(0, 9)), positive({7})}, 0.2);
  add("missing labels", {f32({9, 6}), i64({9}, Fill::of({-1, 0, 5, 6, 2, 3, -1, 1, 4})), positive({9})}, 0);
  add("none counts", {f32({3, 6}), i64({3}, Fill::of({-1, 6, 0})), fixed(f32({3}, Fill::of({1, 1, 0})))}, 0,
      {.constant_ok = true});
  add("one class", {f32({4, 1}), i64({4}, Fill::integers(0, 0))}, 0, {.constant_ok = true});
  add("one row", {f32({129}), i64({}, Fill::of({77}))}, 0);
  add("positions", {f32({2, 3, 11}), i64({2, 3}, Fill::integers(0, 10)), positive({2, 3})}, 0);
  add("many classes", {f32({3, 2500}), i64({3}, Fill::integers(0, 2499))}, 0.1);
  for (const int64_t n : {400, 900, 1027, 4099, 16388})
    add(fmt::format("{} classes", n),
        {f32({4, n}), i64({4}, Fill::of({0, static_cast<double>(n - 1), -1, 77})), positive({4})}, 0.1,
        {.grad = false});
  add("no rows", {f32({0, 5}), i64({0}, Fill::integers(0, 4))}, 0, {.constant_ok = true});
  add("far apart", {f32({2, 3}, Fill::of({1000, -1000, 0, -80, 10, -3})), i64({2}, Fill::of({2, 1}))}, 0,
      {.grad = false, .constant_ok = true});
  add("vocabulary", {f32({64, 8000}), i64({64}, Fill::integers(0, 7999)), positive({64})}, 0,
      {.grad = false, .bench = true});
  add("labels of another shape", {f32({7, 3}), i64({8}, Fill::integers(0, 2))}, 0, {.throws = "[8], expected [7]"});
  add("float labels", {f32({7, 3}), f32({7})}, 0, {.throws = "expected i64"});
  add("no classes", {f32({7, 0}), i64({7}, Fill::integers(0, 0))}, 0, {.throws = "need a last axis of classes"});
  add("full smoothing", {f32({7, 3}), i64({7}, Fill::integers(0, 2))}, 1,
      {.throws = "label_smoothing 1 is not in [0, 1)"});
}

Cost cost(const NodeSpec& node) {
  Cost c;
  for (const auto& t : node.in) c.bytes += static_cast<double>(t.bytes());
  for (const auto& t : node.out) c.bytes += static_cast<double>(t.bytes());
  for (const auto& t : node.in)
    c.flops = std::max(c.flops, 20.0 * static_cast<double>(t.shape.numel()));  // the exponentials
  return c;
}

}  // namespace

void register_softmax_cross_entropy(Registry& r) {
  OpDef op;
  op.name = "softmax_cross_entropy";
  op.doc =
      "sum w l / sum w, l = logsumexp(x) - (1 - s) x[label] - s mean(x); logits [..., C], labels i64 [...], [weights]";
  op.infer = infer_loss;
  op.grad = record_gradient;
  op.cost = cost;
  op.samples = samples<false>;
  op.tolerance = {.ulp = 4};
  op.kernels = {
      {.name = "vectors", .reject = reject_vectors<0>, .prepare = prepare_loss, .run = loss_of<Rows::Vectors, float>},
      {.name = "reference", .prepare = prepare_loss, .run = run_loss}};
  r.add(std::move(op));

  OpDef gradient;
  gradient.name = "softmax_cross_entropy_grad";
  gradient.doc = "dx = dloss w / sum w (softmax(x) - target), from (dloss [], logits, labels, [weights])";
  gradient.infer = infer_gradient;
  gradient.no_grad = "first-order only";
  gradient.cost = cost;
  gradient.samples = samples<true>;
  gradient.tolerance = {.ulp = 6, .sum = 2};
  gradient.kernels = {{.name = "vectors",
                       .reject = reject_vectors<1>,
                       .prepare = prepare_gradient,
                       .run = gradient_of<Rows::Vectors, float>},
                      {.name = "reference", .prepare = prepare_gradient, .run = run_gradient}};
  gradient.inplace = {{1, 0}};  // over a large vocabulary the logits are the largest value of a step
  r.add(std::move(gradient));
}

}  // namespace winnow
