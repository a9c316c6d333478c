// ranknet, lambdarank, listnet: losses over jagged groups. Contract: ops/group_losses.h.
#include "ops/group_losses.h"

#include "core/samples.h"
#include "ops/detail/grain.h"
#include "ops/detail/group_losses.h"
#include "ops/detail/group_rows.h"
#include "ops/detail/loss.h"

namespace winnow {

using namespace detail;

Value ranknet(Value scores, Value labels, Value offsets, double sigma, Loc loc) {
  return scores.graph->apply("ranknet", {scores, labels, offsets}, {{"sigma", sigma}}, loc);
}
Value lambdarank(Value scores, Value labels, Value offsets, const LambdaRankOptions& o, Loc loc) {
  return scores.graph->apply("lambdarank", {scores, scores, labels, offsets},
                             {{"sigma", o.sigma},
                              {"truncation", o.truncation},
                              {"normalize", int64_t{o.normalize}},
                              {"exponential_gain", int64_t{o.exponential_gain}}},
                             loc);
}
Value listnet(Value scores, Value labels, Value offsets, Loc loc) {
  return scores.graph->apply("listnet", {scores, labels, offsets}, {}, loc);
}

namespace {

enum class Kind : uint8_t { RankNet, LambdaRank, ListNet };
constexpr const char* name_of(Kind kind) {
  return kind == Kind::RankNet ? "ranknet" : kind == Kind::LambdaRank ? "lambdarank" : "listnet";
}
constexpr int inputs_of(Kind kind) { return kind == Kind::LambdaRank ? 4 : 3; }

template <Kind kKind>
void check_inputs(const Infer& in, int first) {
  constexpr int kInputs = inputs_of(kKind);
  in.expect_inputs(first + kInputs);
  in.expect_dtype(0, {DType::F32, DType::F64});
  in.expect_same_dtype(0, first + kInputs - 2);
  in.expect_dtype(first + kInputs - 1, {DType::I64});
  in.expect_rank(first, 1);
  for (int i = first + 1; i < first + kInputs - 1; ++i) in.expect_shape(i, in.shape(first));
  in.expect_rank(first + kInputs - 1, 1);
  in.check(in.shape(first + kInputs - 1)[0] >= 1, "offsets are empty, B + 1 of them are needed");
  in.check(in.shape(first)[0] < INT32_MAX, "{} rows; fewer than 2^31 - 1 are supported", in.shape(first)[0]);
  if (kKind == Kind::ListNet) return;
  const double sigma = in.attrs().number("sigma");
  in.check(sigma > 0 && std::isfinite(sigma), "sigma is {}, must be above 0", sigma);
  if (kKind != Kind::LambdaRank) return;
  in.check(in.attrs().integer("truncation") >= 1, "truncation is {}, must be at least 1",
           in.attrs().integer("truncation"));
  for (const char* flag : {"normalize", "exponential_gain"}) {
    const int64_t value = in.attrs().integer(flag);
    in.check(value == 0 || value == 1, "{} is {}, must be 0 or 1", flag, value);
  }
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
}
template <Kind kKind>
void record_gradient(Grad& g) {
  refuse_gradients(g, name_of(kKind), kKind == Kind::LambdaRank ? 2 : 1);
  g.dx(0, record_loss_gradient(g, std::string(name_of(kKind)) + "_grad")[0]);
}

template <Kind kKind, class T, class Add>
double group_loss(const GroupRows<T>& r, const GroupOptions& o, const Add& add) {
  if constexpr (kKind == Kind::RankNet) return ranknet_group(r, o, add);
  if constexpr (kKind == Kind::LambdaRank) return lambdarank_group(r, o, add);
  return listnet_group(r, o, add);
}
template <Kind kKind, class T>
bool group_counts(const T* labels, const GroupRange& g) {
  if (kKind == Kind::ListNet) return g.rows() > 0;
  return std::any_of(labels + g.begin, labels + g.end, [&](T y) { return y != labels[g.begin]; });
}

template <Kind kKind, int kFirst>
void prepare(const NodeSpec& node, Prepare& p) {
  p.state<GroupOptions>(group_options(node.attrs));
  p.scratch(GroupWork::bytes(node.in.back().shape[0] - 1, node.in[kFirst].shape[0]));
}

// use(group, rows): every group that counts, on any thread. Returns how many count.
template <Kind kKind, class T, class Use>
int64_t for_each_group(const Call& c, int first, const GroupWork& work, const Use& use) {
  constexpr int kLabels = inputs_of(kKind) - 2;
  const T *scores = c.in<T>(first), *ranked_by = c.in<T>(first + kLabels - 1), *labels = c.in<T>(first + kLabels);
  const auto counts = [&](int64_t b) { return group_counts<kKind>(labels, work.ranges[b]); };
  const int64_t mean = work.rows / std::max<int64_t>(1, work.groups);
  parallel_for(work.groups, grain(16 * mean * mean), [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      const GroupRange g = work.ranges[b];
      if (counts(b))
        use(b, GroupRows<T>{scores + g.begin, ranked_by + g.begin, labels + g.begin, g.rows(), work.order + g.begin,
                            work.gains + g.begin});
    }
  });
  int64_t counted = 0;
  for (int64_t b = 0; b < work.groups; ++b) counted += counts(b);
  return counted;
}

template <Kind kKind>
void run_loss(const Call& c) {
  visit_float(c.in_spec(0).dtype, name_of(kKind), [&]<class T> {
    constexpr int kOffsets = inputs_of(kKind) - 1;
    const GroupWork work(c.scratch, c.in<int64_t>(kOffsets), c.in_numel(kOffsets) - 1, c.in_numel(0));
    const auto& o = c.state<GroupOptions>();
    std::fill(work.losses, work.losses + work.groups, 0.0);
    const int64_t counted = for_each_group<kKind, T>(c, 0, work, [&](int64_t b, const GroupRows<T>& rows) {
      work.losses[b] = group_loss<kKind>(rows, o, [](int64_t, double) {});
    });
    *c.out<T>(0) = static_cast<T>(weighted_mean(block_sum(work.losses, work.groups), static_cast<double>(counted)));
  });
}
template <Kind kKind>
void run_gradient(const Call& c) {
  visit_float(c.in_spec(0).dtype, name_of(kKind), [&]<class T> {
    constexpr int kOffsets = inputs_of(kKind);
    const GroupWork work(c.scratch, c.in<int64_t>(kOffsets), c.in_numel(kOffsets) - 1, c.in_numel(1));
    const auto& o = c.state<GroupOptions>();
    std::fill(work.sums, work.sums + work.rows, 0.0);
    const int64_t counted = for_each_group<kKind, T>(c, 1, work, [&](int64_t b, const GroupRows<T>& rows) {
      double* sums = work.sums + work.ranges[b].begin;
      group_loss<kKind>(rows, o, [sums](int64_t i, double d) { sums[i] += d; });
    });
    const double mean = weighted_mean(static_cast<double>(*c.in<T>(0)), static_cast<double>(counted));
    T* dx = c.out<T>(0);
    for (int64_t i = 0; i < work.rows; ++i) dx[i] = static_cast<T>(mean * work.sums[i]);
  });
}

template <Kind kKind, bool kGradient>
void samples(Samples& s) {
  const auto add = [&](const char* name, const Arg& scores, const Arg& labels, std::vector<double> offsets,
                       Attrs attrs = {}, Sample more = {}) {
    const auto groups = static_cast<int64_t>(offsets.size());
    more.in = {scores, fixed(labels), i64({groups}, Fill::of(std::move(offsets)))};
    // ranked by other scores than those that are differentiated: ranks and weights are constants of the check
    if (kKind == Kind::LambdaRank) more.in.insert(more.in.begin() + 1, fixed(scores));
    if (kGradient) more.in.insert(more.in.begin(), f32({}, Fill::of({0.75})));
    if (kKind != Kind::ListNet && !attrs.has("sigma")) attrs.set("sigma", 1.0);
    if (kKind == Kind::LambdaRank) {
      if (!attrs.has("truncation")) attrs.set("truncation", int64_t{30});
      if (!attrs.has("normalize")) attrs.set("normalize", int64_t{1});
      if (!attrs.has("exponential_gain")) attrs.set("exponential_gain", int64_t{1});
    }
    more.name = name;
    more.attrs = std::move(attrs);
    more.grad = !kGradient && more.throws.empty() && more.grad;
    s.add(std::move(more));
  };
  const auto grades = [](int64_t n) { return f32({n}, Fill::integers(0, 4)); };
  add("groups", f32({31}), grades(31), {0, 5, 5, 17, 31});
  add("one_group", f32({9}), grades(9), {0, 9});
  add("pair", f32({2}), f32({2}, Fill::of({0, 1})), {0, 2});
  add("groups_of_one", f32({4}), grades(4), {0, 1, 2, 3, 4}, {}, {.constant_ok = true});
  add("equal_labels", f32({6}), f32({6}, Fill::of({2, 2, 2, 0, 1, 0})), {0, 3, 6}, {}, {.constant_ok = true});
  add("equal_scores", f32({6}, Fill::of({1, 1, 1, 1, -2, -2})), f32({6}, Fill::of({0, 3, 1, 2, 0, 1})), {0, 4, 6});
  add("dead_rows", f32({12}), grades(12), {1, 4, 9}, {}, {.constant_ok = true});
  add("no_groups", f32({3}), grades(3), {0}, {}, {.constant_ok = true});
  add("no_rows", f32({0}), grades(0), {0, 0, 0}, {}, {.constant_ok = true});
  add("far_apart", f32({4}, Fill::of({90, -90, 40, -40})), f32({4}, Fill::of({0, 1, 2, 0})), {0, 4}, {},
      {.grad = false});
  std::vector<double> even;
  for (double b = 0; b <= 64; ++b) even.push_back(b * 40);
  add("batch", f32({2560}), grades(2560), even, {}, {.grad = false, .bench = true});
  add("labels_of_another_shape", f32({5}), grades(4), {0, 5}, {}, {.throws = "expected [5]"});
  add("no_offsets", f32({5}), grades(5), {}, {}, {.throws = "offsets are empty"});
  if (kKind == Kind::ListNet) return;
  add("steep", f32({20}), grades(20), {0, 11, 20}, {{"sigma", 2.5}});
  add("sigma", f32({5}), grades(5), {0, 5}, {{"sigma", 0.0}}, {.throws = "sigma is 0, must be above 0"});
  if (kKind == Kind::RankNet) return;
  add("cut", f32({24}), grades(24), {0, 11, 24}, {{"truncation", int64_t{3}}}, {.constant_ok = true});
  add("plain", f32({24}), grades(24), {0, 11, 24}, {{"normalize", int64_t{0}}});
  add("linear_gain", f32({24}), grades(24), {0, 11, 24}, {{"exponential_gain", int64_t{0}}});
  add("truncation", f32({5}), grades(5), {0, 5}, {{"truncation", int64_t{0}}}, {.throws = "truncation is 0"});
  add("flag", f32({5}), grades(5), {0, 5}, {{"normalize", int64_t{2}}}, {.throws = "normalize is 2, must be 0 or 1"});
}

Cost cost(const NodeSpec& node) {
  Cost c;
  for (const auto& t : node.in) c.bytes += static_cast<double>(t.bytes());
  for (const auto& t : node.out) c.bytes += static_cast<double>(t.bytes());
  const auto rows = static_cast<double>(node.in[1].shape.numel());
  const auto groups = static_cast<double>(std::max<int64_t>(1, node.in.back().shape.numel() - 1));
  c.flops = 40 * rows * std::max(1.0, rows / groups);  // pairs of groups of equal size, with an exponential each
  return c;
}

template <Kind kKind>
void register_loss(Registry& r, const char* doc, const char* gradient_name, const char* gradient_doc) {
  OpDef op;
  op.name = name_of(kKind);
  op.doc = doc;
  op.infer = infer_loss<kKind>;
  op.grad = record_gradient<kKind>;
  op.cost = cost;
  op.samples = samples<kKind, false>;
  op.tolerance = {.ulp = 2};
  op.kernels = {{.name = "reference", .prepare = prepare<kKind, 0>, .run = run_loss<kKind>}};
  r.add(std::move(op));

  OpDef gradient;
  gradient.name = gradient_name;
  gradient.doc = gradient_doc;
  gradient.infer = infer_gradient<kKind>;
  gradient.no_grad = "first-order only";
  gradient.cost = cost;
  gradient.samples = samples<kKind, true>;
  gradient.tolerance = {.ulp = 2, .sum = 1};
  gradient.kernels = {{.name = "reference", .prepare = prepare<kKind, 1>, .run = run_gradient<kKind>}};
  r.add(std::move(gradient));
}

}  // namespace

void register_group_losses(Registry& r) {
  register_loss<Kind::RankNet>(r,
                               "mean over groups of the mean over pairs y_i > y_j of log(1 + e^(-sigma (s_i - s_j))), "
                               "from (scores, labels, offsets)",
                               "ranknet_grad", "dscores of ranknet, from (dloss [], inputs of ranknet)");
  register_loss<Kind::LambdaRank>(
      r,
      "mean over groups of n sum w_ij log(1 + e^(-sigma (s_i - s_j))), y_i > y_j, w the change of NDCG by a swap under "
      "ranked_by, from (scores, ranked_by, labels, offsets)",
      "lambdarank_grad", "dscores of lambdarank: the lambdas, from (dloss [], inputs of lambdarank)");
  register_loss<Kind::ListNet>(
      r,
      "mean over groups of the cross-entropy of softmax(scores) under softmax(labels), from (scores, labels, offsets)",
      "listnet_grad", "dscores of listnet, from (dloss [], inputs of listnet)");
}

}  // namespace winnow
