// Losses of rankings over groups against their formulas written out pair by pair. optest checks gradients and kernels.
#include "ops/group_losses.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/program.h"
#include "core/rng.h"

namespace winnow {
namespace {

using Doubles = std::vector<double>;
using Offsets = std::vector<int64_t>;

Tensor vec(const Doubles& x) { return Tensor::of(x, {static_cast<int64_t>(x.size())}); }
Tensor ids(const Offsets& x) { return Tensor::of(x, {static_cast<int64_t>(x.size())}); }

struct LossAndGradient {
  double loss;
  Doubles gradient;
};
// What a model is trained by: the loss that the function records, and backward() through it.
template <class Record>
LossAndGradient run(const Doubles& scores, const Doubles& labels, const Offsets& offsets, const Record& record) {
  Graph g;
  const Value s = g.input("scores", {DType::F64, {static_cast<int64_t>(scores.size())}});
  const Value y = g.input("labels", {DType::F64, s.shape()});
  const Value o = g.input("offsets", {DType::I64, {static_cast<int64_t>(offsets.size())}});
  g.require_grad(s);
  const Value loss = record(s, y, o);
  g.backward(loss);
  g.output("loss", loss);
  g.output("gradient", g.gradient(s));
  Program program = compile(g);
  const auto stream = make_stream({});
  const Tensor feeds[] = {vec(scores), vec(labels), ids(offsets)};
  program.run(feeds, *stream);
  const auto gradient = program.output("gradient").span<double>();
  return {program.output("loss").item<double>(), Doubles(gradient.begin(), gradient.end())};
}
LossAndGradient run_ranknet(const Doubles& s, const Doubles& y, const Offsets& o, double sigma = 1) {
  return run(s, y, o, [&](Value a, Value b, Value c) { return ranknet(a, b, c, sigma); });
}
LossAndGradient run_lambdarank(const Doubles& s, const Doubles& y, const Offsets& o,
                               const LambdaRankOptions& options = {}) {
  return run(s, y, o, [&](Value a, Value b, Value c) { return lambdarank(a, b, c, options); });
}
LossAndGradient run_listnet(const Doubles& s, const Doubles& y, const Offsets& o) {
  return run(s, y, o, [](Value a, Value b, Value c) { return listnet(a, b, c); });
}

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

// LightGBM's loop (objective lambdarank): documents by falling score, lambdas pair by pair, then the norm.
Doubles lambdas_of_one_query(const Doubles& s, const Doubles& y, const LambdaRankOptions& o) {
  const size_t n = s.size(), cut = std::min(n, static_cast<size_t>(o.truncation));
  const auto gain = [&](double label) { return o.exponential_gain ? std::pow(2, label) - 1 : label; };
  const auto discount = [](size_t rank) { return 1 / std::log2(2.0 + static_cast<double>(rank)); };
  Doubles best = y;
  std::sort(best.rbegin(), best.rend());
  double max_dcg = 0;
  for (size_t r = 0; r < cut; ++r) max_dcg += gain(best[r]) * discount(r);
  std::vector<size_t> order(n);
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return s[a] > s[b]; });
  const bool spread = s[order.front()] != s[order.back()];
  Doubles lambda(n);
  double sum = 0;
  for (size_t a = 0; a + 1 < n && a < cut; ++a)
    for (size_t b = a + 1; b < n; ++b) {
      if (y[order[a]] == y[order[b]]) continue;
      const bool a_high = y[order[a]] > y[order[b]];
      const size_t high = order[a_high ? a : b], low = order[a_high ? b : a];
      double delta = (gain(y[high]) - gain(y[low])) * std::abs(discount(a) - discount(b)) / max_dcg;
      if (o.normalize && spread) delta /= 0.01 + std::abs(s[high] - s[low]);
      const double p = o.sigma * delta / (1 + std::exp(o.sigma * (s[high] - s[low])));
      lambda[high] -= p;
      lambda[low] += p;
      sum += 2 * p;
    }
  if (o.normalize && sum > 0)
    for (double& l : lambda) l *= std::log2(1 + sum) / sum;
  return lambda;
}

struct RandomGroups {
  Doubles scores, labels;
  Offsets offsets = {0};
  explicit RandomGroups(bool ties) {
    Rng rng(7, ties);
    for (const int64_t n : {1, 2, 9, 40, 1, 17}) {
      for (int64_t i = 0; i < n; ++i) {
        scores.push_back(ties ? std::floor(3 * rng.uniform()) : rng.normal());
        labels.push_back(std::floor(5 * rng.uniform()));
      }
      offsets.push_back(offsets.back() + n);
    }
  }
  Doubles part(const Doubles& x, size_t g) const { return {x.begin() + offsets[g], x.begin() + offsets[g + 1]}; }
  size_t groups() const { return offsets.size() - 1; }
};
bool differ(const Doubles& y) { return std::ranges::adjacent_find(y, std::not_equal_to{}) != y.end(); }

TEST(GroupLosses, LambdaRankHasTheLambdasOfLightGbm) {
  for (const bool ties : {false, true})
    for (const LambdaRankOptions& o :
         {LambdaRankOptions{}, LambdaRankOptions{.normalize = false}, LambdaRankOptions{.truncation = 5},
          LambdaRankOptions{.sigma = 2, .exponential_gain = false}}) {
      const RandomGroups r(ties);
      const LossAndGradient got = run_lambdarank(r.scores, r.labels, r.offsets, o);
      double counted = 0;
      for (size_t g = 0; g < r.groups(); ++g) counted += differ(r.part(r.labels, g));
      ASSERT_GE(counted, 3);
      for (size_t g = 0; g < r.groups(); ++g) {
        const Doubles expected = lambdas_of_one_query(r.part(r.scores, g), r.part(r.labels, g), o);
        for (size_t i = 0; i < expected.size(); ++i)
          EXPECT_NEAR(got.gradient[static_cast<size_t>(r.offsets[g]) + i], expected[i] / counted, 1e-12);
      }
    }
}

TEST(GroupLosses, RankNetAveragesOverThePairsOfDifferentLabels) {
  const RandomGroups r(false);
  double total = 0, counted = 0;
  Doubles gradient(r.scores.size());
  for (size_t g = 0; g < r.groups(); ++g) {
    const Doubles s = r.part(r.scores, g), y = r.part(r.labels, g);
    double sum = 0, pairs = 0;
    for (size_t i = 0; i < s.size(); ++i)
      for (size_t j = 0; j < s.size(); ++j)
        if (y[i] > y[j]) ++pairs, sum += std::log1p(std::exp(-0.5 * (s[i] - s[j])));
    if (pairs == 0) continue;
    total += sum / pairs;
    ++counted;
    for (size_t i = 0; i < s.size(); ++i)
      for (size_t j = 0; j < s.size(); ++j) {
        const double d = -0.5 * sigmoid(-0.5 * (s[i] - s[j])) / pairs;
        if (y[i] > y[j]) gradient[static_cast<size_t>(r.offsets[g]) + i] += d;
        if (y[i] > y[j]) gradient[static_cast<size_t>(r.offsets[g]) + j] -= d;
      }
  }
  const LossAndGradient got = run_ranknet(r.scores, r.labels, r.offsets, 0.5);
  EXPECT_NEAR(got.loss, total / counted, 1e-12);
  for (size_t i = 0; i < gradient.size(); ++i) EXPECT_NEAR(got.gradient[i], gradient[i] / counted, 1e-12);
}

TEST(GroupLosses, ListNetIsTheCrossEntropyOfTopOneProbabilities) {
  const Doubles s = {1, -1, 0.5, 3}, y = {2, 0, 1, 1};
  const auto softmax = [](const Doubles& x, size_t begin, size_t end) {
    double sum = 0;
    Doubles p;
    for (size_t i = begin; i < end; ++i) sum += std::exp(x[i]);
    for (size_t i = begin; i < end; ++i) p.push_back(std::exp(x[i]) / sum);
    return p;
  };
  const Doubles p = softmax(y, 0, 3), q = softmax(s, 0, 3);
  double loss = 0;
  for (size_t i = 0; i < 3; ++i) loss -= p[i] * std::log(q[i]);
  const LossAndGradient got = run_listnet(s, y, {0, 3, 4});  // a group of one has no loss but counts
  EXPECT_NEAR(got.loss, loss / 2, 1e-12);
  for (size_t i = 0; i < 3; ++i) EXPECT_NEAR(got.gradient[i], (q[i] - p[i]) / 2, 1e-12);
  EXPECT_EQ(got.gradient[3], 0);
  EXPECT_NEAR(run_listnet(y, y, {0, 4}).gradient[0], 0, 1e-15) << "scores equal to the labels are the optimum";
}

TEST(GroupLosses, GroupsWithoutAPairAddNothingAndDoNotCount) {
  const Doubles s = {0.3, -0.2, 1.5, 0.1, 0.7, 2}, y = {1, 0, 2, 2, 2, 1};
  const Offsets with = {0, 2, 2, 5, 6, 6}, alone = {0, 2};  // labels 2 2 2, one row, and two groups of none
  EXPECT_EQ(run_ranknet(s, y, with).loss, run_ranknet(s, y, alone).loss);
  EXPECT_EQ(run_lambdarank(s, y, with).loss, run_lambdarank(s, y, alone).loss);
  EXPECT_GT(run_lambdarank(s, y, with).loss, 0);
  for (const LossAndGradient& got : {run_ranknet(s, y, with), run_lambdarank(s, y, with)})
    for (size_t i = 2; i < s.size(); ++i) EXPECT_EQ(got.gradient[i], 0);
  for (const LossAndGradient& got : {run_ranknet(s, y, {2, 5, 6}), run_lambdarank(s, y, {2, 5, 6})}) {
    EXPECT_EQ(got.loss, 0);
    for (const double d : got.gradient) EXPECT_EQ(d, 0);
  }
}

TEST(GroupLosses, ASwapThatGainsMoreNdcgPullsMore) {
  // 4 at the end of the list against 1 at its end, everything else alike
  const Doubles s = {3, 2, 1, 0};
  const LambdaRankOptions plain{.normalize = false};
  const double large = run_lambdarank(s, {0, 0, 0, 4}, {0, 4}, plain).gradient[3];
  EXPECT_LT(large, 0);
  const LossAndGradient two = run_lambdarank(s, {0, 4, 0, 1}, {0, 4}, plain);
  EXPECT_LT(two.gradient[1], two.gradient[3]) << "the better document is pulled up harder";
  EXPECT_NEAR(std::accumulate(two.gradient.begin(), two.gradient.end(), 0.0), 0, 1e-15);
}

TEST(GroupLosses, BackwardRefusesAGradientOfTheLabels) {
  Graph g;
  const Value s = g.input("s", {DType::F32, {4}}), y = g.input("y", {DType::F32, {4}});
  const Value o = g.input("o", {DType::I64, {2}});
  g.require_grad(s);
  g.require_grad(y);
  EXPECT_THROW(g.backward(lambdarank(s, y, o)), Error);
  EXPECT_THROW(g.backward(listnet(s, y, o)), Error);
}

}  // namespace
}  // namespace winnow
