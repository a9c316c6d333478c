// bpr and sampled_softmax: losses of a positive against negatives. Contract: ops/losses.h.
#include "core/math.h"
#include "core/samples.h"
#include "ops/detail/grain.h"
#include "ops/detail/lanes.h"
#include "ops/detail/loss.h"
#include "ops/losses.h"

namespace winnow {

using namespace detail;

Value bpr(Value positives, Value negatives, Value weights, Loc loc) {
  return record_loss("bpr", {positives, negatives}, weights, {}, loc);
}
Value sampled_softmax(Value positives, Value negatives, LogQ log_q, Value weights, Loc loc) {
  std::vector<Value> in = {positives, negatives};
  if (log_q.positives || log_q.negatives) in.insert(in.end(), {log_q.positives, log_q.negatives});
  return record_loss("sampled_softmax", std::move(in), weights, {}, loc);
}

namespace {

enum class Kind { Bpr, SampledSoftmax };

// Where the operands of a node lie; null: absent.
template <class T>
struct Operands {
  const T *positives, *negatives, *q_positives = nullptr, *q_negatives = nullptr, *weights = nullptr;
  int64_t rows, columns;
};
// Inputs from `first` on: positives, negatives, [log_q of both], [weights]; their number tells which are there.
template <class T>
Operands<T> operands_of(const Call& c, int first) {
  const int n = static_cast<int>(c.spec->in.size()) - first;
  Operands<T> o{.positives = c.in<T>(first), .negatives = c.in<T>(first + 1), .rows = c.in_numel(first), .columns = 0};
  o.columns = o.rows == 0 ? 0 : c.in_numel(first + 1) / o.rows;
  if (n >= 4) o.q_positives = c.in<T>(first + 2), o.q_negatives = c.in<T>(first + 3);
  if (n % 2 == 1) o.weights = c.in<T>(first + n - 1);
  return o;
}

template <Kind kKind>
void check_inputs(const Infer& in, int first) {
  in.expect_inputs(first + 2, first + (kKind == Kind::Bpr ? 3 : 5));
  in.expect_dtype(0, {DType::F32, DType::F64});
  in.expect_same_dtype(0, in.inputs() - 1);
  in.expect_rank(first, 1);
  const Shape &positives = in.shape(first), &negatives = in.shape(first + 1);
  const bool pairs = kKind == Kind::Bpr && negatives == positives;
  in.check(pairs || (negatives.rank() == 2 && negatives[0] == positives[0] && negatives[1] > 0),
           "negatives {} are not [{}, N]{}", negatives.str(), positives[0],
           kKind == Kind::Bpr ? " or of the positives' shape" : "");
  const int n = in.inputs() - first;
  if (n >= 4) {
    in.expect_shape(first + 2, positives);
    in.expect_shape(first + 3, negatives);
  }
  if (n % 2 == 1) in.expect_shape(in.inputs() - 1, positives);
}
template <Kind kKind>
void infer_loss(Infer& in) {
  check_inputs<kKind>(in, 0);
  in.out(in.dtype(0), {});
}
template <Kind kKind>
void infer_gradient(Infer& in) {
  check_inputs<kKind>(in, 1);
  in.expect_rank(0, 0);
  in.out(in.in(1));
  in.out(in.in(2));
}
template <Kind kKind>
void record_gradient(Grad& g) {
  const char* name = kKind == Kind::Bpr ? "bpr" : "sampled_softmax";
  refuse_gradients(g, name, 2);
  const auto dx = record_loss_gradient(g, std::string(name) + "_grad");
  g.dx(0, dx[0]);
  g.dx(1, dx[1]);
}
void prepare_loss(const NodeSpec& node, Prepare& p) {
  p.scratch(static_cast<size_t>(node.in[0].shape.numel()) * sizeof(double));
}

// sum over n of log(1 + e^(negatives[n] - positive))
template <class T>
double bpr_row(const Operands<T>& o, int64_t row) {
  const T positive = o.positives[row], *negatives = o.negatives + row * o.columns;
  T loss[kLossBlock];
  double sum = 0;
  for (int64_t first = 0; first < o.columns; first += kLossBlock) {
    const int64_t n = std::min(kLossBlock, o.columns - first);
#pragma omp simd
    for (int64_t j = 0; j < n; ++j) loss[j] = math::softplus(negatives[first + j] - positive);
    sum += block_sum(loss, n);
  }
  return sum / static_cast<double>(o.columns);
}
// One negative a positive: the rows themselves are the loop that vectorises, in blocks that the shape alone decides.
template <class T>
void bpr_pairs(const Operands<T>& o, double* loss) {
  parallel_for(loss_blocks(o.rows), grain(16 * kLossBlock), [&](int64_t first, int64_t last) {
    for (int64_t b = first; b < last; ++b) {
      const int64_t begin = b * kLossBlock, n = std::min(kLossBlock, o.rows - begin);
      const T *positive = o.positives + begin, *negative = o.negatives + begin;
      T l[kLossBlock];
#pragma omp simd
      for (int64_t i = 0; i < n; ++i) l[i] = math::softplus(negative[i] - positive[i]);
      for (int64_t i = 0; i < n; ++i) {
        const T w = weight_of(o.weights, begin + i);
        loss[begin + i] = w == T(0) ? 0 : static_cast<double>(w) * static_cast<double>(l[i]);
      }
    }
  });
}
template <class T>
void bpr_pairs_gradient(const Operands<T>& o, double mean, T* dpositives, T* dnegatives) {
  parallel_for(loss_blocks(o.rows), grain(16 * kLossBlock), [&](int64_t first, int64_t last) {
    for (int64_t b = first; b < last; ++b) {
      const int64_t begin = b * kLossBlock, n = std::min(kLossBlock, o.rows - begin);
      const T *positive = o.positives + begin, *negative = o.negatives + begin;
      T *dp = dpositives + begin, *dn = dnegatives + begin, d[kLossBlock];
#pragma omp simd
      for (int64_t i = 0; i < n; ++i) d[i] = math::sigmoid(negative[i] - positive[i]);
      for (int64_t i = 0; i < n; ++i) {
        const T w = weight_of(o.weights, begin + i);
        dn[i] = w == T(0) ? T(0) : static_cast<T>(mean * static_cast<double>(w)) * d[i];
        dp[i] = -dn[i];
      }
    }
  });
}
template <class T>
T bpr_row_gradient(const Operands<T>& o, int64_t row, T scale, T* dnegatives) {
  const T positive = o.positives[row], *negatives = o.negatives + row * o.columns;
  const T each = scale / static_cast<T>(o.columns);
#pragma omp simd
  for (int64_t j = 0; j < o.columns; ++j) dnegatives[j] = each * math::sigmoid(negatives[j] - positive);
  return static_cast<T>(-block_sum(dnegatives, o.columns));
}

// The corrected logit of negative j, less that of the positive.
template <class T>
T corrected(const T* logits, const T* log_q, int64_t j, T positive) {
  return log_q == nullptr ? logits[j] - positive : (logits[j] - log_q[j]) - positive;
}
template <class T>
struct Corrected {
  const T *negatives, *q;
  T positive, most;  // most: the largest difference, at least 0
  Corrected(const Operands<T>& o, int64_t row)
      : negatives(o.negatives + row * o.columns),
        q(o.q_negatives == nullptr ? nullptr : o.q_negatives + row * o.columns),
        positive(o.q_positives == nullptr ? o.positives[row] : o.positives[row] - o.q_positives[row]),
        most(0) {
    constexpr int64_t kWidth = 8;
    T lane[kWidth] = {};
    int64_t j = 0;
    for (; j + kWidth <= o.columns; j += kWidth)
      for (int64_t k = 0; k < kWidth; ++k) lane[k] = math::max(lane[k], corrected(negatives, q, j + k, positive));
    for (; j < o.columns; ++j) most = math::max(most, corrected(negatives, q, j, positive));
    for (const T m : lane) most = math::max(most, m);
  }
  // e[j] = exp of difference first + j, less `most`
  void exponentials(int64_t first, int64_t n, T* e) const {
    const T *x = negatives + first, *log_q = q == nullptr ? nullptr : q + first, p = positive, m = most;
    if (log_q == nullptr) {
#pragma omp simd
      for (int64_t j = 0; j < n; ++j) e[j] = math::exp((x[j] - p) - m);
    } else {
#pragma omp simd
      for (int64_t j = 0; j < n; ++j) e[j] = math::exp(((x[j] - log_q[j]) - p) - m);
    }
  }
};
// With d[j] = s_neg[j] - s_pos and m = max(0, max d): log(1 + sum e^d) = m + log(e^-m + sum e^(d - m))
template <class T>
double softmax_row(const Operands<T>& o, int64_t row) {
  const Corrected<T> d(o, row);
  T e[kLossBlock];
  double sum = 0;
  for (int64_t first = 0; first < o.columns; first += kLossBlock) {
    const int64_t n = std::min(kLossBlock, o.columns - first);
    d.exponentials(first, n, e);
    sum += block_sum(e, n);
  }
  const auto most = static_cast<double>(d.most);
  return most + std::log1p(std::expm1(-most) + sum);
}
template <class T>
T softmax_row_gradient(const Operands<T>& o, int64_t row, T scale, T* dnegatives) {
  const Corrected<T> d(o, row);
  d.exponentials(0, o.columns, dnegatives);
  const double sum = block_sum(dnegatives, o.columns), z = std::exp(-static_cast<double>(d.most)) + sum;
  const T each = static_cast<T>(static_cast<double>(scale) / z);
#pragma omp simd
  for (int64_t j = 0; j < o.columns; ++j) dnegatives[j] *= each;
  return static_cast<T>(-static_cast<double>(scale) * (sum / z));  // 1 - p of the positive, without the cancellation
}

template <Kind kKind>
void run_loss(const Call& c) {
  visit_float(c.in_spec(0).dtype, c.spec->op->name, [&]<class T> {
    const Operands<T> o = operands_of<T>(c, 0);
    double* loss = c.scratch_as<double>();
    if (kKind == Kind::Bpr && o.columns == 1) {
      bpr_pairs(o, loss);
    } else {
      parallel_for(o.rows, grain(16 * (o.columns + 1)), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          const auto w = static_cast<double>(weight_of(o.weights, i));
          loss[i] = w == 0 ? 0 : w * (kKind == Kind::Bpr ? bpr_row(o, i) : softmax_row(o, i));
        }
      });
    }
    *c.out<T>(0) = static_cast<T>(weighted_mean(block_sum(loss, o.rows), weight_sum(o.weights, o.rows)));
  });
}
template <Kind kKind>
void run_gradient(const Call& c) {
  visit_float(c.in_spec(0).dtype, c.spec->op->name, [&]<class T> {
    const Operands<T> o = operands_of<T>(c, 1);
    T *dpositives = c.out<T>(0), *dnegatives = c.out<T>(1);
    const double mean = weighted_mean(static_cast<double>(*c.in<T>(0)), weight_sum(o.weights, o.rows));
    if (kKind == Kind::Bpr && o.columns == 1) return bpr_pairs_gradient(o, mean, dpositives, dnegatives);
    parallel_for(o.rows, grain(16 * (o.columns + 1)), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const T w = weight_of(o.weights, i), scale = static_cast<T>(mean * static_cast<double>(w));
        T* row = dnegatives + i * o.columns;
        dpositives[i] = T(0);
        if (w == T(0))
          std::fill(row, row + o.columns, T(0));
        else
          dpositives[i] =
              kKind == Kind::Bpr ? bpr_row_gradient(o, i, scale, row) : softmax_row_gradient(o, i, scale, row);
      }
    });
  });
}

template <Kind kKind, bool kGradient>
void samples(Samples& s) {
  const auto add = [&](const char* name, std::vector<Arg> in, Sample more = {}) {
    if (kGradient) in.insert(in.begin(), f32({}, Fill::of({0.75})));
    more.name = name;
    more.in = std::move(in);
    more.grad = !kGradient && more.throws.empty() && more.grad;
    s.add(std::move(more));
  };
  const auto positive = [](const Shape& shape) { return fixed(f32(shape, Fill::uniform(0.5, 2))); };
  add("unweighted", {f32({31}), f32({31, 7})});
  add("weighted", {f32({17}), f32({17, 33}), positive({17})});
  add("some rows count", {f32({9}), f32({9, 5}), fixed(f32({9}, Fill::of({0, 1, 2, 1, 1, 0.5, 3, 0, 1})))});
  add("one row", {f32({1}), f32({1, 129}), positive({1})});
  add("one negative", {f32({67}), f32({67, 1}), positive({67})});
  add("no rows", {f32({0}), f32({0, 5})}, {.constant_ok = true});
  add("no weight", {f32({3}), f32({3, 5}), fixed(f32({3}, Fill::of({0, 0, 0})))}, {.constant_ok = true});
  add("many negatives", {f32({3}), f32({3, 2500}), positive({3})});
  add("far apart", {f32({4}, Fill::of({40, -40, 10, -10})), f32({4, 2}, Fill::of({-40, -30, 40, 35, -10, -9, 10, 11}))},
      {.grad = false, .constant_ok = true});
  add("batch", {f32({2048}), f32({2048, 100}), positive({2048})}, {.grad = false, .bench = true});
  if (kKind == Kind::Bpr) {
    add("pairs", {f32({129}), f32({129}), positive({129})});
    add("pair", {f32({1}), f32({1})}, {.constant_ok = true});
    add("unequal", {f32({7}), f32({8})}, {.throws = "negatives [8] are not [7, N] or of the positives' shape"});
  } else {
    const auto log_q = [](const Shape& shape) { return fixed(f32(shape, Fill::uniform(-8, -2))); };
    add("log q", {f32({13}), f32({13, 20}), log_q({13}), log_q({13, 20})});
    add("log q, weighted", {f32({8}), f32({8, 3}), log_q({8}), log_q({8, 3}), positive({8})});
    add("log q of another shape", {f32({7}), f32({7, 3}), log_q({7}), log_q({7})}, {.throws = "expected [7, 3]"});
    add("unequal", {f32({7}), f32({8, 2})}, {.throws = "negatives [8, 2] are not [7, N]"});
  }
  add("no negatives", {f32({7}), f32({7, 0})}, {.throws = "negatives [7, 0] are not [7, N]"});
  add("weights of another shape", {f32({7}), f32({7, 3}), positive({3})}, {.throws = "expected [7]"});
}

Cost cost(const NodeSpec& node) {
  Cost c;
  for (const auto& t : node.in) c.bytes += static_cast<double>(t.bytes());
  for (const auto& t : node.out) c.bytes += static_cast<double>(t.bytes());
  for (const auto& t : node.in)
    c.flops = std::max(c.flops, 20.0 * static_cast<double>(t.shape.numel()));  // the exponentials
  return c;
}

template <Kind kKind>
void register_loss(Registry& r, const char* name, const char* doc, const char* gradient_name,
                   const char* gradient_doc) {
  OpDef op;
  op.name = name;
  op.doc = doc;
  op.infer = infer_loss<kKind>;
  op.grad = record_gradient<kKind>;
  op.cost = cost;
  op.samples = samples<kKind, false>;
  op.tolerance = {.ulp = 4};
  op.kernels = {{.name = "reference", .prepare = prepare_loss, .run = run_loss<kKind>}};
  r.add(std::move(op));

  OpDef gradient;
  gradient.name = gradient_name;
  gradient.doc = gradient_doc;
  gradient.infer = infer_gradient<kKind>;
  gradient.no_grad = "first-order only";
  gradient.cost = cost;
  gradient.samples = samples<kKind, true>;
  gradient.tolerance = {.ulp = 6, .sum = 2};
  gradient.kernels = {{.name = "reference", .run = run_gradient<kKind>}};
  r.add(std::move(gradient));
}

}  // namespace

void register_ranking_losses(Registry& r) {
  register_loss<Kind::Bpr>(r, "bpr",
                           "sum w l / sum w, l_b = mean_n log(1 + e^(negatives[b, n] - positives[b])); [weights]",
                           "bpr_grad", "(dpositives, dnegatives) of bpr, from (dloss [], inputs of bpr)");
  register_loss<Kind::SampledSoftmax>(
      r, "sampled_softmax",
      "sum w l / sum w, l_b = log(e^p + sum_n e^s[n]) - p, p and s the logits less log q; [log_q of both], [weights]",
      "sampled_softmax_grad",
      "(dpositives, dnegatives) of sampled_softmax, from (dloss [], inputs of sampled_softmax)");
}

}  // namespace winnow
