#include "train/metrics.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/exact_sum.h"
#include "core/parallel.h"
#include "core/rng.h"
#include "tests/error_text.h"
#include "train/baselines.h"
#include "train/metrics_auc.h"
#include "train/metrics_binary.h"

namespace winnow {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct Columns {
  std::vector<float> predictions, labels, weights;
  std::vector<int64_t> users;
  MetricRows rows() const { return {predictions, labels, weights, users}; }
  MetricRows slice(size_t begin, size_t end) const {
    const size_t n = end - begin;
    return {std::span(predictions).subspan(begin, n), std::span(labels).subspan(begin, n),
            std::span(weights).subspan(begin, n), std::span(users).subspan(begin, n)};
  }
  Columns permuted(const std::vector<size_t>& order) const {
    Columns c;
    for (size_t i : order) {
      c.predictions.push_back(predictions[i]);
      c.labels.push_back(labels[i]);
      c.weights.push_back(weights[i]);
      c.users.push_back(users[i]);
    }
    return c;
  }
};

// Rows with ties in the score, uneven weights, some of them 0, and a few users.
Columns random_rows(size_t n, uint64_t seed, uint64_t levels = 0) {
  Rng rng(seed);
  Columns c;
  for (size_t i = 0; i < n; ++i) {
    const bool positive = rng.uniform() < 0.3;
    const double score = rng.normal() + (positive ? 0.7 : 0);
    c.predictions.push_back(levels > 0 ? static_cast<float>(std::round(score * static_cast<double>(levels)))
                                       : static_cast<float>(score));
    c.labels.push_back(positive ? 1 : 0);
    c.weights.push_back(rng.below(10) == 0 ? 0 : static_cast<float>(rng.uniform() * 3));
    c.users.push_back(static_cast<int64_t>(rng.below(17) * 1'000'003));
  }
  return c;
}

std::vector<size_t> shuffled(size_t n, uint64_t seed) {
  Rng rng(seed);
  std::vector<size_t> order(n);
  std::iota(order.begin(), order.end(), 0);
  for (size_t i = n; i > 1; --i) std::swap(order[i - 1], order[rng.below(i)]);
  return order;
}

MetricValue measure(const char* name, const MetricRows& rows, const MetricOptions& options = {}) {
  const auto metric = make_metric(name, options);
  metric->update(rows);
  return metric->value();
}

double brute_force_auc(const Columns& c) {
  double pairs = 0, total = 0;
  for (size_t i = 0; i < c.labels.size(); ++i) {
    for (size_t j = 0; j < c.labels.size(); ++j) {
      if (c.labels[i] != 1 || c.labels[j] != 0) continue;
      const double w = double{c.weights[i]} * c.weights[j];
      total += w;
      if (c.predictions[i] > c.predictions[j]) pairs += w;
      if (c.predictions[i] == c.predictions[j]) pairs += w / 2;
    }
  }
  return pairs / total;
}

TEST(ExactSum, IsTheRoundedSumWhateverTheOrder) {
  ExactSum sum;
  for (double x : {1e300, 1.0, -1e300, 1e-300, 0x1p-1074}) sum.add(x);
  EXPECT_EQ(sum.value(), 1.0);
  sum.add(-1.0);
  EXPECT_EQ(sum.value(), 1e-300);
  sum.add(-1e-300);
  EXPECT_EQ(sum.value(), 0x1p-1074);
  sum.add(-0x1p-1073);
  EXPECT_EQ(sum.value(), -0x1p-1074);

  ExactSum tie;  // 2^53 + 1 rounds to even, any more rounds up
  tie.add(0x1p53);
  tie.add(1);
  EXPECT_EQ(tie.value(), 0x1p53);
  tie.add(0x1p-60);
  EXPECT_EQ(tie.value(), 0x1p53 + 2);

  ExactSum tenths, other;
  for (int i = 0; i < 10; ++i) (i % 2 == 0 ? tenths : other).add(0.1);
  tenths.merge(other);
  EXPECT_EQ(tenths.value(), 1.0);  // fsum of ten 0.1
  ExactSum negative;
  for (int i = 0; i < 3; ++i) negative.add(-0.1);
  EXPECT_EQ(negative.value(), -0.30000000000000004);  // the exact sum of three doubles 0.1, rounded once
  negative.add(std::numeric_limits<double>::infinity());
  EXPECT_TRUE(std::isinf(negative.value()));
}

TEST(Metrics, HandValues) {
  const std::vector<float> logits = {2, -1, 0.5, -3}, labels = {1, 0, 0, 1};
  const MetricRows rows{logits, labels};
  EXPECT_DOUBLE_EQ(*measure("auc", rows).value, 0.5);  // pairs (2, -1) (2, .5) won, (-3, -1) (-3, .5) lost
  EXPECT_NEAR(*measure("logloss", rows).value,
              (std::log1p(std::exp(-2.0)) + std::log1p(std::exp(-1.0)) + std::log1p(std::exp(0.5)) +
               std::log1p(std::exp(3.0))) /
                  4,
              1e-15);
  EXPECT_DOUBLE_EQ(*measure("accuracy", rows).value, 0.5);
  EXPECT_DOUBLE_EQ(*measure("precision", rows).value, 0.5);
  EXPECT_DOUBLE_EQ(*measure("recall", rows).value, 0.5);
  EXPECT_DOUBLE_EQ(*measure("f1", rows).value, 0.5);
  EXPECT_DOUBLE_EQ(*measure("precision", rows, {.threshold = 0.8}).value, 1.0);  // sigmoid(2) = .88, sigmoid(.5) = .62
  EXPECT_NEAR(*measure("rmse", rows).value, std::sqrt((1 + 1 + 0.25 + 16) / 4), 1e-15);
  EXPECT_DOUBLE_EQ(*measure("mae", rows).value, (1 + 1 + 0.5 + 4) / 4);
  const std::vector<float> weights = {1, 0, 2, 1};
  EXPECT_DOUBLE_EQ(*measure("mae", {logits, labels, weights}).value, (1 + 2 * 0.5 + 4) / 4);
  EXPECT_DOUBLE_EQ(*measure("accuracy", {logits, labels, weights}).value, 0.25);
}

TEST(Metrics, PrAucIsTheStepwiseSumWithTiesAsOneStep) {
  const std::vector<float> scores = {4, 3, 2, 1}, labels = {1, 0, 1, 0}, tied = {2, 2, 2, 2};
  EXPECT_DOUBLE_EQ(*measure("pr_auc", {scores, labels}).value, 0.5 * 1 + 0.5 * 2 / 3);
  EXPECT_DOUBLE_EQ(*measure("pr_auc", {tied, labels}).value, 0.5);
  const std::vector<float> weights = {1, 2, 3, 1};
  EXPECT_DOUBLE_EQ(*measure("pr_auc", {scores, labels, weights}).value, 0.25 * 1 + 0.75 * 4 / 6);
}

TEST(Metrics, ProbabilitiesHandValues) {
  const float z = static_cast<float>(std::log(3.0));  // p = 0.75
  const std::vector<float> logits = {z, z, z, -z}, labels = {1, 1, 0, 0};
  const double p = 1 / (1 + std::exp(-double{z}));
  EXPECT_DOUBLE_EQ(*measure("brier", {logits, labels}).value, (3 * (1 - p) * (1 - p) + p * p) / 4);
  EXPECT_DOUBLE_EQ(*measure("copc", {logits, labels}).value, 2 / (3 * p + 1 - p));
  EXPECT_DOUBLE_EQ(*measure("ece", {logits, labels}).value, 0.75 * (p - 2.0 / 3) + 0.25 * (1 - p));
  const std::vector<float> mean = {0, 0, 0, 0};
  EXPECT_DOUBLE_EQ(*measure("ne", {mean, labels}).value, 1.0);  // the mean label is the best constant
}

TEST(Metrics, GaucWeighsUsersByImpressionsAndSkipsUsersOfOneClass) {
  const std::vector<float> scores = {1, 2, 3, 1, 2, 5, 6}, labels = {0, 1, 0, 0, 1, 1, 1};
  const std::vector<int64_t> users = {7, 7, 7, 0, 0, 3, 3};
  // user 7: 3 rows, AUC 1/2; user 0: 2 rows, AUC 1; user 3 has positives only
  EXPECT_DOUBLE_EQ(*measure("gauc", {scores, labels, {}, users}).value, (3 * 0.5 + 2 * 1.0) / 5);
}

TEST(Metrics, LogLossIsStableAndClippedForExtremeLogits) {
  EXPECT_NEAR(log_loss(-500, 1), -std::log(1e-15), 1e-12);
  EXPECT_NEAR(log_loss(kInfinity, 0), -std::log(1e-15), 1e-12);
  EXPECT_NEAR(log_loss(kInfinity, 1), 1e-15, 1e-20);
  EXPECT_NEAR(log_loss(30, 1), std::exp(-30.0), 1e-25);
  EXPECT_NEAR(log_loss(0.25, 0.5), 0.5 * log_loss(0.25, 1) + 0.5 * log_loss(0.25, 0), 1e-15);
}

TEST(Metrics, AucEqualsBruteForceWithTiesAndWeights) {
  for (size_t n : {2, 3, 17, 200, 801}) {
    for (uint64_t levels : {0, 1, 4}) {
      const Columns c = random_rows(n, 3 * n + levels, levels);
      const double expected = brute_force_auc(c);
      const MetricValue auc = measure("auc", c.rows());
      ASSERT_EQ(auc.value.has_value(), !std::isnan(expected)) << n;
      if (auc.value) { EXPECT_NEAR(*auc.value, expected, 1e-12) << n << " rows, " << levels << " levels"; }
    }
  }
}

TEST(Metrics, AucOrdersEveryKindOfFloat) {
  const std::vector<float> scores = {-kInfinity, -1e30f, -1, -1e-40f, -0.0f, 0.0f, 1e-40f, 1, 1e30f, kInfinity};
  std::vector<float> labels(scores.size());
  for (size_t cut = 1; cut < scores.size(); ++cut) {
    for (size_t i = 0; i < scores.size(); ++i) labels[i] = i >= cut ? 1 : 0;
    // only the two zeros tie: one pair of 25 at half when the classes part between them
    EXPECT_DOUBLE_EQ(*measure("auc", {scores, labels}).value, cut == 5 ? 1 - 0.5 / 25 : 1.0) << cut;
  }
}

TEST(Metrics, SameBitsForAnyOrderBatchesAndMerges) {
  Columns c = random_rows(3001, 11, 6);
  Rng rng(2);
  for (float& w : c.weights) w *= static_cast<float>(std::exp(8 * rng.normal()));  // sums of these round in double
  const Columns shuffle = c.permuted(shuffled(c.labels.size(), 5));
  for (const std::string& name : metric_names()) {
    const double whole = *measure(name.c_str(), c.rows()).value;
    EXPECT_EQ(whole, *measure(name.c_str(), shuffle.rows()).value) << name;
    const auto left = make_metric(name), right = make_metric(name), empty = make_metric(name);
    for (size_t begin = 0; begin < 3001; begin += 100) {
      (begin % 300 == 0 ? left : right)->update(shuffle.slice(begin, std::min<size_t>(begin + 100, 3001)));
    }
    right->merge(*left);
    right->merge(*empty);
    EXPECT_EQ(whole, *right->value().value) << name;
  }
}

TEST(Metrics, RowsOfWeightZeroAreNeverLookedAt) {
  const std::vector<float> logits = {1, kNaN, -1}, labels = {1, -7, 0}, weights = {1, 0, 1};
  const std::vector<int64_t> users = {0, -1, 0};
  for (const std::string& name : metric_names()) {
    EXPECT_TRUE(measure(name.c_str(), {logits, labels, weights, users}).value) << name;
  }
}

TEST(Metrics, UndefinedValuesCarryTheReason) {
  const std::vector<float> logits = {-1, -2}, ones = {1, 1}, zeros = {0, 0};
  const std::vector<int64_t> users = {1, 2};
  EXPECT_EQ(measure("auc", {logits, ones}).str(), "auc undefined: needs both classes, 2 rows have one");
  EXPECT_EQ(measure("gauc", {logits, ones, {}, users}).str(), "gauc undefined: needs both classes, no user has them");
  EXPECT_EQ(measure("pr_auc", {logits, zeros}).str(), "pr_auc undefined: none of 2 rows has label 1");
  EXPECT_EQ(measure("ne", {logits, ones}).str(),
            "ne undefined: needs both classes: the entropy of the mean label is 0");
  const std::vector<float> never = {-kInfinity, -kInfinity};
  EXPECT_EQ(measure("copc", {never, ones}).str(), "copc undefined: every predicted probability is 0");
  EXPECT_EQ(measure("precision", {logits, ones}).str(), "precision undefined: no row is called positive");
  EXPECT_EQ(measure("recall", {logits, zeros}).str(), "recall undefined: no row has label 1");
  EXPECT_EQ(measure("f1", {logits, zeros}).str(), "f1 undefined: no row has label 1 or is called positive");
  for (const std::string& name : metric_names()) EXPECT_FALSE(measure(name.c_str(), {}).value) << name;
  const auto all = evaluate_binary({logits, ones});
  EXPECT_TRUE(std::isnan(find_metric(all, "auc")->low));
  EXPECT_TRUE(find_metric(all, "logloss")->value);
}

TEST(Metrics, AManyRowAucIsTheSameForAnyThreads) {
  const Columns c = random_rows(200'000, 3, 1000);
  const int before = num_threads();
  set_num_threads(1);
  const auto one = evaluate_binary(c.rows(), {.bootstrap = {.resamples = 0}});
  for (const int threads : {2, 5}) {
    set_num_threads(threads);
    const auto many = evaluate_binary(c.rows(), {.bootstrap = {.resamples = 0}});
    for (size_t i = 0; i < one.size(); ++i) EXPECT_EQ(*one[i].value, *many[i].value) << one[i].name;
  }
  set_num_threads(before);
}

TEST(Metrics, ErrorsNameMetricAndRow) {
  const auto auc = make_metric("auc");
  const std::vector<float> good = {1, 2}, labels = {0, 1}, nan = {1, kNaN}, odd = {0.5f, 1}, weights = {1, -1};
  auc->update({good, labels});
  EXPECT_EQ(text_of<DataError>([&] {
              auc->update({nan, labels});
            }),
            "metric auc: row 3: the prediction is NaN; lower the learning rate or clip the gradients");
  EXPECT_EQ(*auc->value().value, 1.0);  // as before
  EXPECT_EQ(text_of<DataError>([&] { auc->update({good, odd}); }), "metric auc: row 2: label 0.5 must be 0 or 1");
  EXPECT_EQ(text_of<DataError>([&] {
              auc->update({good, labels, weights});
            }),
            "metric auc: row 3: weight -1 must be finite and not negative");
  EXPECT_EQ(text_of<ShapeError>([&] {
              auc->update({good, {}});
            }),
            "metric auc: 2 predictions with 0 labels, 0 weights, 0 users; the lengths must agree");
  EXPECT_EQ(text_of<ShapeError>([&] {
              make_metric("gauc")->update({good, labels});
            }),
            "metric gauc: 2 predictions with 0 users; the lengths must agree");
  EXPECT_EQ(text_of<ConfigError>([&] { auc->merge(*make_metric("f1")); }), "metric auc: cannot merge f1 into it");
  EXPECT_EQ(text_of<ConfigError>([] { make_metric("acu"); }),
            "no metric is called 'acu'; there are auc, gauc, pr_auc, logloss, ne, brier, ece, ece_mass, copc, "
            "accuracy, precision, "
            "recall, f1, rmse, mae");
  EXPECT_EQ(text_of<ConfigError>([] { make_metric("f1", {.threshold = 1}); }),
            "metric f1: threshold 1 must lie in (0, 1)");
}

TEST(Bootstrap, ResamplesSumToTheUnitsAndAreUniform) {
  std::vector<uint32_t> counts(1000), total(1000);
  for (uint64_t r = 0; r < 400; ++r) {
    draw_resample(1, r, counts);
    EXPECT_EQ(std::accumulate(counts.begin(), counts.end(), 0u), 1000u);
    for (size_t i = 0; i < 1000; ++i) total[i] += counts[i];
  }
  double chi_square = 0;
  for (uint32_t t : total) chi_square += (t - 400.0) * (t - 400.0) / 400;
  EXPECT_NEAR(chi_square, 999, 5 * std::sqrt(2 * 999.0));
  std::vector<uint32_t> wide((size_t{1} << 20) + 7);
  draw_resample(1, 0, wide);
  EXPECT_EQ(std::accumulate(wide.begin(), wide.end(), uint64_t{0}), wide.size());
  EXPECT_NEAR(static_cast<double>(std::count(wide.begin(), wide.end(), 0u)) / static_cast<double>(wide.size()),
              std::exp(-1.0), 0.002);
}

TEST(Bootstrap, IntervalOfAMeanIsItsNormalInterval) {
  Rng rng(9);
  std::vector<double> values(2000), ones(2000, 1.0);
  double mean = 0, square = 0;
  for (double& v : values) {
    v = rng.normal();
    mean += v / 2000;
    square += v * v / 2000;
  }
  const double half = 1.96 * std::sqrt((square - mean * mean) / 2000);
  const Interval i = bootstrap_ratio(values, ones, {.resamples = 4000});
  EXPECT_NEAR(i.low, mean - half, 0.1 * half);
  EXPECT_NEAR(i.high, mean + half, 0.1 * half);
}

TEST(Bootstrap, IntervalsOfAllMetricsAgreeWithResamplingTheRows) {
  const Columns c = random_rows(400, 21, 5);
  const BinaryEvaluation options{.bootstrap = {.resamples = 2000}};
  const auto values = evaluate_binary(c.rows(), options);
  ASSERT_EQ(values.size(), 13u);
  Rng rng(4);
  for (const MetricValue& value : values) {
    if (value.name == "gauc") continue;
    if (value.name.starts_with("ece")) {
      EXPECT_TRUE(std::isnan(value.low)) << value.name;
      continue;
    }
    std::vector<double> samples;
    for (int r = 0; r < 600; ++r) {
      std::vector<size_t> draw(c.labels.size());
      for (size_t& i : draw) i = rng.below(c.labels.size());
      samples.push_back(*measure(value.name.c_str(), c.permuted(draw).rows()).value);
    }
    const Interval slow = percentile_interval(samples, 0.95);
    const double width = slow.high - slow.low;
    EXPECT_NEAR(value.low, slow.low, 0.15 * width) << value.name;
    EXPECT_NEAR(value.high, slow.high, 0.15 * width) << value.name;
    EXPECT_LT(value.low, *value.value);
    EXPECT_GT(value.high, *value.value);
  }
}

TEST(Bootstrap, ARowAtTheThresholdIsCalledPositiveInEveryResample) {
  const std::vector<float> logits = {-1, 0}, labels = {0, 1};
  const auto values = evaluate_binary({logits, labels});
  EXPECT_EQ(find_metric(values, "accuracy")->low, 1.0);
  EXPECT_EQ(find_metric(values, "accuracy")->high, 1.0);
  EXPECT_TRUE(std::isnan(find_metric(values, "auc")->low));  // half of the resamples have one class
}

TEST(Bootstrap, SameBitsForAnyThreadsAndOrder) {
  const Columns c = random_rows(777, 8, 3);
  const Columns shuffle = c.permuted(shuffled(777, 1));
  const int before = num_threads();
  const auto expected = evaluate_binary(c.rows());
  for (int threads : {1, 2, 3, 7}) {
    set_num_threads(threads);
    const auto values = evaluate_binary(shuffle.rows());
    for (size_t i = 0; i < expected.size(); ++i) {
      EXPECT_EQ(values[i].name, expected[i].name);
      EXPECT_EQ(*values[i].value, *expected[i].value) << values[i].name;
      if (values[i].name.starts_with("ece")) continue;  // no interval
      EXPECT_EQ(values[i].low, expected[i].low) << values[i].name;
      EXPECT_EQ(values[i].high, expected[i].high) << values[i].name;
    }
  }
  set_num_threads(before);
}

TEST(Bootstrap, UndefinedResamplesAreLeftOutUpToATenth) {
  std::vector<double> samples(1000, 1.0);
  std::fill_n(samples.begin(), 100, std::numeric_limits<double>::quiet_NaN());
  EXPECT_EQ(percentile_interval(samples, 0.95).low, 1.0);
  samples[100] = std::numeric_limits<double>::quiet_NaN();
  EXPECT_TRUE(std::isnan(percentile_interval(samples, 0.95).low));
  EXPECT_EQ(text_of<ConfigError>([] { check_bootstrap({.resamples = 20}); }),
            "bootstrap: 20 resamples; use 0 for no interval, else at least 200");
}

TEST(Baselines, SmoothedItemRateAndCounts) {
  const std::vector<int64_t> items = {0, 0, 0, 1, 1, -1}, test = {0, 1, 2, -1};
  const std::vector<float> labels = {1, 1, 0, 0, 0, 1}, test_labels = {1, 0, 1, 0};
  ItemPopularity popularity(3, 2);
  popularity.add({items, labels});
  EXPECT_DOUBLE_EQ(popularity.mean(), 0.5);
  EXPECT_DOUBLE_EQ(popularity.rate(0), (2 + 2 * 0.5) / (3 + 2));
  EXPECT_DOUBLE_EQ(popularity.rate(1), (0 + 2 * 0.5) / (2 + 2));
  EXPECT_DOUBLE_EQ(popularity.rate(2), 0.5);
  EXPECT_DOUBLE_EQ(popularity.rate(-1), 0.5);
  EXPECT_EQ(popularity.click_counts(), (std::vector<float>{2, 0, 0}));
  const auto results = evaluate_baselines(popularity, {test, test_labels}, {.bootstrap = {.resamples = 0}});
  ASSERT_EQ(results.size(), 3u);
  EXPECT_EQ(*find_metric(results[0].metrics, "auc")->value, 0.5);
  EXPECT_DOUBLE_EQ(*find_metric(results[0].metrics, "logloss")->value, std::log(2.0));
  EXPECT_EQ(*find_metric(results[1].metrics, "auc")->value, (1 + 1 + 1 + 0.5) / 4);
  EXPECT_EQ(find_metric(results[2].metrics, "logloss"), nullptr);
  EXPECT_EQ(*find_metric(results[2].metrics, "auc")->value, (1 + 1 + 0.5 + 0.5) / 4);
}

}  // namespace
}  // namespace winnow
