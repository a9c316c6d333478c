#include "train/delong.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/parallel.h"
#include "core/rng.h"
#include "train/metrics_auc.h"

namespace winnow {
namespace {

struct Scored {
  std::vector<std::vector<float>> models;
  std::vector<float> labels;
  std::vector<std::span<const float>> spans() const { return {models.begin(), models.end()}; }
};

Scored random_models(int n, int models, double levels, uint64_t seed) {
  Rng rng(seed);
  Scored s;
  s.models.resize(static_cast<size_t>(models));
  for (int i = 0; i < n; ++i) {
    s.labels.push_back(rng.uniform() < 0.4 ? 1 : 0);
    for (auto& m : s.models)
      m.push_back(static_cast<float>(std::round((rng.normal() + s.labels.back()) * levels) / levels));
  }
  return s;
}

// The formula of the header over all pairs.
std::vector<double> covariance_by_pairs(const Scored& s) {
  const size_t k = s.models.size();
  std::vector<size_t> rows[2];
  for (size_t i = 0; i < s.labels.size(); ++i) rows[s.labels[i] > 0.5f ? 1 : 0].push_back(i);
  std::vector<std::vector<double>> v[2];
  for (const auto& m : s.models) {
    for (const int y : {0, 1}) {
      v[y].emplace_back();
      for (const size_t i : rows[y]) {
        double sum = 0;
        for (const size_t j : rows[1 - y]) {
          const float positive = y == 1 ? m[i] : m[j], negative = y == 1 ? m[j] : m[i];
          sum += positive > negative ? 1 : positive == negative ? 0.5 : 0;
        }
        v[y].back().push_back(sum / static_cast<double>(rows[1 - y].size()));
      }
    }
  }
  std::vector<double> covariance(k * k);
  for (size_t r = 0; r < k; ++r) {
    for (size_t t = 0; t < k; ++t) {
      for (const int y : {0, 1}) {
        const auto n = static_cast<double>(v[y][r].size());
        double a = 0, b = 0, products = 0;
        for (const double x : v[y][r]) a += x / n;
        for (const double x : v[y][t]) b += x / n;
        for (size_t i = 0; i < v[y][r].size(); ++i) products += (v[y][r][i] - a) * (v[y][t][i] - b);
        covariance[r * k + t] += products / (n - 1) / n;
      }
    }
  }
  return covariance;
}

TEST(DeLong, EqualsTheFormulaOverAllPairsWithTies) {
  for (const double levels : {1.0, 4.0, 1e6}) {
    const Scored s = random_models(300, 3, levels, 7);
    const DeLong d = delong(s.spans(), s.labels);
    const auto expected = covariance_by_pairs(s);
    ASSERT_TRUE(d.defined());
    for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(d.covariance[i], expected[i], 1e-15);
    for (size_t r = 0; r < 3; ++r) {
      Auc auc;
      auc.update({s.models[r], s.labels});
      EXPECT_NEAR(d.auc[r], *auc.value().value, 1e-14);
    }
  }
}

TEST(DeLong, SameBitsForAnyThreads) {
  const Scored s = random_models(100'000, 2, 50, 3);
  const int before = num_threads();
  set_num_threads(1);
  const DeLong one = delong(s.spans(), s.labels);
  set_num_threads(3);
  const DeLong three = delong(s.spans(), s.labels);
  set_num_threads(before);
  EXPECT_EQ(one.auc, three.auc);
  EXPECT_EQ(one.covariance, three.covariance);
}

TEST(DeLong, ModelsThatRankAlikeDoNotDiffer) {
  Scored s = random_models(200, 1, 1e6, 5);
  s.models.push_back(s.models[0]);
  for (float& x : s.models[1]) x = 3 * x + 1;
  const AucDifference d = delong_difference(delong(s.spans(), s.labels), 0, 1);
  EXPECT_EQ(d.difference, 0);
  EXPECT_EQ(d.p_value, 1);
  EXPECT_EQ(d.interval.low, 0);
  EXPECT_EQ(d.interval.high, 0);
}

TEST(DeLong, ABetterModelDiffers) {
  Scored s = random_models(2000, 2, 1e6, 5);
  for (size_t i = 0; i < s.labels.size(); ++i) s.models[1][i] += s.labels[i];
  const AucDifference d = delong_difference(delong(s.spans(), s.labels), 1, 0);
  EXPECT_GT(d.difference, 0.1);
  EXPECT_GT(d.interval.low, 0);
  EXPECT_LT(d.p_value, 1e-6);
}

TEST(DeLong, SaysWhyItIsUndefined) {
  const std::vector<float> scores = {1, 2, 3, 4}, one_positive = {0, 0, 0, 1}, labels = {0, 1, 0, 1};
  const std::vector<float> weights = {1, 2, 1, 1}, padded = {1, 1, 1, 0}, twos = {2, 2, 2, 2};
  const std::span<const float> models[] = {scores};
  EXPECT_EQ(delong(models, one_positive).reason, "needs two rows of each class, there are 1 positives and 3 negatives");
  EXPECT_EQ(delong(models, labels, weights).reason, "rows have different weights; use the bootstrap interval");
  EXPECT_EQ(delong(models, labels, padded).reason,
            "needs two rows of each class, there are 1 positives and 2 negatives");
  EXPECT_EQ(delong(models, labels, twos).auc, delong(models, labels).auc);
}

TEST(DeLong, IntervalsAreThoseOfTheNormalDistribution) {
  EXPECT_NEAR(normal_quantile(0.95), 1.959963984540054, 1e-12);
  EXPECT_NEAR(normal_quantile(0.6826894921370859), 1, 1e-12);
  const Interval i = delong_interval(0.7, 0.0004);  // on the logit scale: log(7 / 3) -+ 1.96 * 0.02 / 0.21
  EXPECT_NEAR(std::log(i.low / (1 - i.low)), std::log(7.0 / 3) - 1.959963984540054 * 0.02 / 0.21, 1e-12);
  EXPECT_NEAR(std::log(i.high / (1 - i.high)), std::log(7.0 / 3) + 1.959963984540054 * 0.02 / 0.21, 1e-12);
  EXPECT_LT(delong_interval(0.99, 0.01).high, 1);
  EXPECT_EQ(delong_interval(1, 0).low, 1);
}

}  // namespace
}  // namespace winnow
