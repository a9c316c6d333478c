// cosent: one sum over ordered pairs of examples. Contract: ops/losses.h.
#include "core/math.h"
#include "core/samples.h"
#include "ops/detail/grain.h"
#include "ops/detail/loss.h"
#include "ops/losses.h"

namespace winnow {

using namespace detail;

Value cosent(Value scores, Value labels, double scale, Value weights, Loc loc) {
  return record_loss("cosent", {scores, labels}, weights, {{"scale", scale}}, loc);
}

namespace {

struct State {
  double scale = 1;
};

void check_inputs(const Infer& in, int first) {
  in.expect_inputs(first + 2, first + 3);
  in.expect_dtype(0, {DType::F32, DType::F64});
  in.expect_same_dtype(0, in.inputs() - 1);
  in.expect_rank(first, 1);
  for (int i = first + 1; i < in.inputs(); ++i) in.expect_shape(i, in.shape(first));
  const double scale = in.attrs().number("scale");
  in.check(scale > 0, "scale is {}, must be positive", scale);
}
void infer_loss(Infer& in) {
  check_inputs(in, 0);
  in.out(in.dtype(0), {});
}
void infer_gradient(Infer& in) {
  check_inputs(in, 1);
  in.expect_rank(0, 0);
  in.out(in.in(1));
}
void record_gradient(Grad& g) {
  refuse_gradients(g, "cosent", 1);
  g.dx(0, record_loss_gradient(g, "cosent_grad")[0]);
}

// Scratch: for each example the largest term and the sum of the pairs in which its label is the higher one.
void prepare(const NodeSpec& node, Prepare& p) {
  p.state<State>().scale = node.attrs.number("scale");
  p.scratch(static_cast<size_t>(node.in.back().shape.numel()) * 2 * sizeof(double));
}

template <class T>
struct Pairs {
  const T *scores, *labels, *weights;
  int64_t n;
  T scale;
  Pairs(const Call& c, int first)
      : scores(c.in<T>(first)),
        labels(c.in<T>(first + 1)),
        weights(c.spec->in.size() == static_cast<size_t>(first) + 3 ? c.in<T>(first + 2) : nullptr),
        n(c.in_numel(first)),
        scale(static_cast<T>(c.state<State>().scale)) {}
  T weight(int64_t i) const { return weight_of(weights, i); }
  bool counts(int64_t high, int64_t low) const { return labels[high] > labels[low] && weight(low) != T(0); }
  // The exponent of the pair; NaN must survive the maximum below.
  T term(int64_t high, int64_t low) const { return scale * (scores[low] - scores[high]); }
};

// log(1 + sum) as most + log(rest), rest = e^-most + sum of e^(term - most); most is the largest exponent, at least 0.
struct Total {
  double most = 0, rest = 1;
};
template <class T>
Total total_of(const Pairs<T>& p, double* scratch) {
  double *most = scratch, *sum = scratch + p.n;
  parallel_for(p.n, grain(4 * p.n), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      T m = 0;
      if (p.weight(i) != T(0))
        for (int64_t j = 0; j < p.n; ++j)
          if (p.counts(i, j)) m = math::max(m, p.term(i, j));
      most[i] = static_cast<double>(m);
    }
  });
  Total t;
  for (int64_t i = 0; i < p.n; ++i) t.most = math::max(t.most, most[i]);
  const T m = static_cast<T>(t.most);
  parallel_for(p.n, grain(16 * p.n), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      sum[i] = 0;
      if (p.weight(i) == T(0)) continue;
      for (int64_t j = 0; j < p.n; ++j)
        if (p.counts(i, j)) sum[i] += static_cast<double>(p.weight(j) * math::exp(p.term(i, j) - m));
      sum[i] *= static_cast<double>(p.weight(i));
    }
  });
  t.rest = std::exp(-t.most) + block_sum(sum, p.n);
  return t;
}

void run_loss(const Call& c) {
  visit_float(c.in_spec(0).dtype, "cosent", [&]<class T> {
    const Pairs<T> p(c, 0);
    const Total t = total_of(p, c.scratch_as<double>());
    *c.out<T>(0) = static_cast<T>(t.most + std::log1p(t.rest - 1));
  });
}
void run_gradient(const Call& c) {
  visit_float(c.in_spec(0).dtype, "cosent_grad", [&]<class T> {
    const Pairs<T> p(c, 1);
    const Total t = total_of(p, c.scratch_as<double>());
    const T m = static_cast<T>(t.most);
    const double factor = static_cast<double>(*c.in<T>(0)) * c.state<State>().scale / t.rest;
    T* dx = c.out<T>(0);
    parallel_for(p.n, grain(32 * p.n), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        dx[i] = T(0);
        if (p.weight(i) == T(0)) continue;
        double sum = 0;
        for (int64_t j = 0; j < p.n; ++j) {
          if (p.weight(j) == T(0) || p.labels[i] == p.labels[j]) continue;
          const bool higher = p.labels[i] > p.labels[j];
          const T e = p.weight(j) * math::exp((higher ? p.term(i, j) : p.term(j, i)) - m);
          sum += static_cast<double>(higher ? -e : e);
        }
        dx[i] = static_cast<T>(factor * static_cast<double>(p.weight(i)) * sum);
      }
    });
  });
}

template <bool kGradient>
void samples(Samples& s) {
  const auto add = [&](const char* name, std::vector<Arg> in, double scale, Sample more = {}) {
    if (kGradient) in.insert(in.begin(), f32({}, Fill::of({0.75})));
    more.name = name;
    more.in = std::move(in);
    more.attrs = {{"scale", scale}};
    more.grad = !kGradient && more.throws.empty() && more.grad;
    s.add(std::move(more));
  };
  const auto cosines = [](int64_t n) { return f32({n}, Fill::uniform(-1, 1)); };
  const auto grades = [](int64_t n) { return fixed(f32({n}, Fill::integers(0, 4))); };
  add("grades", {cosines(17), grades(17)}, 5);
  add("weighted", {cosines(31), grades(31), fixed(f32({31}, Fill::uniform(0.2, 2)))}, 3);
  add("some count", {cosines(9), grades(9), fixed(f32({9}, Fill::of({0, 1, 2, 1, 1, 0.5, 3, 0, 1})))}, 4);
  add("two", {cosines(2), fixed(f32({2}, Fill::of({1, 0})))}, 20, {.constant_ok = kGradient});
  add("one", {cosines(1), grades(1)}, 20, {.constant_ok = true});
  add("equal labels", {cosines(5), fixed(f32({5}, Fill::of({2, 2, 2, 2, 2})))}, 20, {.constant_ok = true});
  add("none", {cosines(0), grades(0)}, 20, {.constant_ok = true});
  add("no weight", {cosines(3), grades(3), fixed(f32({3}, Fill::of({0, 0, 0})))}, 20, {.constant_ok = true});
  add("far apart", {f32({3}, Fill::of({-40, 0, 40})), fixed(f32({3}, Fill::of({2, 1, 0})))}, 2,
      {.grad = false, .constant_ok = kGradient});
  add("batch", {cosines(512), grades(512)}, 20, {.grad = false, .bench = true});
  add("labels of another shape", {cosines(7), grades(6)}, 20, {.throws = "[6], expected [7]"});
  add("no scale", {cosines(7), grades(7)}, 0, {.throws = "scale is 0"});
}

Cost cost(const NodeSpec& node) {
  const auto n = static_cast<double>(node.in.back().shape.numel());
  return {20 * n * n, 16 * n};
}

}  // namespace

void register_cosent(Registry& r) {
  r.add({.name = "cosent",
         .doc = "log(1 + sum over labels i > j of w_i w_j e^(attr scale (s_j - s_i))); scores, labels, [weights] [B]",
         .infer = infer_loss,
         .grad = record_gradient,
         .cost = cost,
         .samples = samples<false>,
         .tolerance = {.ulp = 32, .sum = 8},
         .kernels = {{.name = "reference", .prepare = prepare, .run = run_loss}}});
  r.add({.name = "cosent_grad",
         .doc = "dscores of cosent, from (dloss [], inputs of cosent)",
         .infer = infer_gradient,
         .no_grad = "first-order only",
         .cost = cost,
         .samples = samples<true>,
         .tolerance = {.ulp = 64, .sum = 64},
         .kernels = {{.name = "reference", .prepare = prepare, .run = run_gradient}}});
}

}  // namespace winnow
