// Metrics of classes and of values against numbers computed by hand.
#include "train/class_metrics.h"

#include <gtest/gtest.h>

#include <cmath>

#include "train/metrics_binary.h"
#include "train/naive_bayes.h"
#include "train/value_metrics.h"

namespace winnow {
namespace {

double value(const std::vector<MetricValue>& metrics, const char* name) {
  const MetricValue* m = find_metric(metrics, name);
  return m != nullptr && m->value ? *m->value : -1;
}

ClassRows single(const std::vector<int32_t>& labels, const std::vector<int32_t>& predicted, int64_t classes) {
  ClassRows rows;
  rows.classes = classes;
  for (size_t i = 0; i < labels.size(); ++i) rows.add(std::span(&labels[i], 1), std::span(&predicted[i], 1));
  return rows;
}

// Class 3 has neither a row nor a prediction: it is not part of the mean, as in f1_score of scikit-learn.
TEST(ClassMetrics, SingleLabelByHand) {
  const ClassRows rows = single({0, 0, 0, 1, 1, 2}, {0, 0, 1, 1, 1, 0}, 4);
  const auto metrics = class_metrics(rows, {.resamples = 0});
  EXPECT_DOUBLE_EQ(value(metrics, "accuracy"), 4.0 / 6);
  EXPECT_DOUBLE_EQ(value(metrics, "macro_f1"), (2 * 2.0 / 6 + 2 * 2.0 / 5 + 0) / 3);
  const auto counts = class_counts(rows);
  EXPECT_EQ(counts[0].labelled, 3);
  EXPECT_EQ(counts[0].predicted, 3);
  EXPECT_EQ(counts[0].right, 2);
  const auto pairs = confused_pairs(rows, 1);
  ASSERT_EQ(pairs.size(), 1u);
  EXPECT_EQ(pairs[0].label, 0);
  EXPECT_EQ(pairs[0].predicted, 1);
}

TEST(ClassMetrics, ALabelThatTrainingNeverSawIsAMiss) {
  const auto metrics = class_metrics(single({0, -1}, {0, 0}, 2), {.resamples = 0});
  EXPECT_DOUBLE_EQ(value(metrics, "accuracy"), 0.5);
  EXPECT_DOUBLE_EQ(value(metrics, "macro_f1"), 2.0 / 3);
}

TEST(ClassMetrics, SeveralLabelsByHand) {
  ClassRows rows;
  rows.classes = 3;
  rows.multi = true;
  const std::vector<int32_t> a = {0, 2}, b = {0}, c = {1}, none;
  rows.add(a, a);
  rows.add(a, b);
  rows.add(c, none);
  rows.add(none, none);
  const auto metrics = class_metrics(rows, {.resamples = 0});
  EXPECT_DOUBLE_EQ(value(metrics, "accuracy"), 0.5);
  EXPECT_DOUBLE_EQ(value(metrics, "micro_f1"), 2.0 * 3 / (3 + 5));
  EXPECT_DOUBLE_EQ(value(metrics, "macro_f1"), (1 + 0 + 2.0 / 3) / 3);
}

TEST(ClassMetrics, IntervalsHoldTheValue) {
  std::vector<int32_t> labels, predicted;
  for (int i = 0; i < 300; ++i) labels.push_back(i % 3), predicted.push_back(i % 7 == 0 ? 0 : i % 3);
  for (const MetricValue& m : class_metrics(single(labels, predicted, 3), {.resamples = 300})) {
    EXPECT_LT(m.low, *m.value) << m.name;
    EXPECT_GT(m.high, *m.value) << m.name;
  }
}

// Vocabulary 6, [CLS] 0, [SEP] 1. With a word more of each: p(2 | a) = 3/8, p(3 | a) = 1/8, p(2 | b) = 1/9, p(3 | b) =
// 3/9.
TEST(NaiveBayes, CountsDecide) {
  const JaggedIds train{{0, 2, 1, 0, 2, 1, 0, 3, 4, 3, 1}, std::vector<int8_t>(11, 0), {0, 3, 6, 11}};
  const JaggedIds test{{0, 2, 1, 0, 3, 1}, std::vector<int8_t>(6, 0), {0, 3, 6}};
  SpecialTokens special;
  special.cls = 0, special.sep = 1;
  const ClassRows expected = single({0, 1}, {0, 0}, 2);
  const ClassRows predicted = naive_bayes(train, single({0, 0, 1}, {0, 0, 0}, 2), test, expected, 6, special);
  EXPECT_EQ(predicted.predicted, (std::vector<int32_t>{0, 1}));
  EXPECT_EQ(majority_class(single({0, 0, 1}, {0, 0, 0}, 2), expected).predicted, (std::vector<int32_t>{0, 0}));
}

TEST(ValueMetrics, ByHandAndWithTies) {
  const std::vector<double> p = {1, 2, 2, 4}, y = {1, 3, 2, 8};
  const auto metrics = value_metrics(p, y, {.resamples = 0});
  EXPECT_DOUBLE_EQ(value(metrics, "rmse"), std::sqrt(17.0 / 4));
  EXPECT_DOUBLE_EQ(value(metrics, "mae"), 5.0 / 4);
  EXPECT_DOUBLE_EQ(value(metrics, "r2"), 1 - 17.0 / 29);
  EXPECT_NEAR(value(metrics, "spearman"), 0.9486832980505138, 1e-15);  // scipy.stats.spearmanr
}

TEST(ValueMetrics, WhatIsUndefinedSaysWhy) {
  const std::vector<double> same = {2, 2, 2}, y = {1, 2, 3};
  const auto metrics = value_metrics(same, y, {.resamples = 200});
  EXPECT_FALSE(find_metric(metrics, "spearman")->value);
  EXPECT_FALSE(find_metric(metrics, "spearman")->reason.empty());
  EXPECT_TRUE(find_metric(metrics, "rmse")->value);
}

}  // namespace
}  // namespace winnow
