// Values computed by scikit-learn 1.9.1 (or, where it has no function, by the formula in numpy) for cases made from
// integers: bench/peers/metrics_sklearn.py --fixed prints them.
#include <gtest/gtest.h>

#include <cmath>

#include "train/delong.h"
#include "train/metrics_auc.h"
#include "train/metrics_binary.h"
#include "train/metrics_calibration.h"
#include "train/ranking_graded.h"

namespace winnow {
namespace {

struct Case {
  std::vector<float> scores, labels, weights, floors, grades;
  std::vector<int64_t> groups;
  Case() {
    for (int i = 0; i < 60; ++i) {
      scores.push_back(static_cast<float>(i * 37 % 23 - 11) / 4);
      floors.push_back(std::floor(scores.back()));
      labels.push_back(i * 29 % 7 < 3 ? 1 : 0);
      weights.push_back(static_cast<float>(i * 13 % 5 + 1) / 4);
      grades.push_back(static_cast<float>(i * 17 % 4));
      groups.push_back(i % 6);
    }
  }
};

void expect_values(const MetricRows& rows, const std::vector<std::pair<const char*, double>>& expected) {
  const auto values = evaluate_binary(rows, {.metrics = {.bins = 5}, .bootstrap = {.resamples = 0}});
  for (const auto& [name, value] : expected) {
    EXPECT_NEAR(*find_metric(values, name)->value, value, 1e-12) << name;
    const auto metric = make_metric(name, {.bins = 5});
    metric->update(rows);
    EXPECT_NEAR(*metric->value().value, value, 1e-12) << name;
  }
}

TEST(MetricsOfScikitLearn, BinaryWithTies) {
  const Case c;
  expect_values({c.scores, c.labels}, {{"auc", 0.42143658810325474},
                                       {"pr_auc", 0.3965867860000838},
                                       {"logloss", 1.1016327495450549},
                                       {"brier", 0.38256867558476976},
                                       {"copc", 0.9078586834965711},
                                       {"ne", 1.6008873901473712},
                                       {"ece", 0.3261674636456179},
                                       {"ece_mass", 0.31800350823216095}});
}

TEST(MetricsOfScikitLearn, BinaryWithWeights) {
  const Case c;
  expect_values({c.scores, c.labels, c.weights}, {{"auc", 0.390198279087168},
                                                  {"pr_auc", 0.38268899366810843},
                                                  {"logloss", 1.2044102649189055},
                                                  {"brier", 0.4141983290797594},
                                                  {"copc", 0.8499207348414498},
                                                  {"ne", 1.7502431790167774},
                                                  {"ece", 0.3812179191545881},
                                                  {"ece_mass", 0.36885906742115165}});
}

TEST(MetricsOfScikitLearn, CalibrationCurves) {
  const Case c;
  std::vector<uint64_t> sorted;
  append_scored_rows({c.scores, c.labels}, sorted);
  sort_scored_rows(sorted);
  const auto expect_curve = [&](Binning binning, const std::vector<double>& rates, const std::vector<double>& means) {
    const Calibration curve = calibration_of_sorted(sorted, binning, 5);
    ASSERT_EQ(curve.bins.size(), 5u);
    for (size_t b = 0; b < 5; ++b) {
      EXPECT_NEAR(curve.bins[b].rate, rates[b], 1e-12);
      EXPECT_NEAR(curve.bins[b].mean_prediction, means[b], 1e-12);
    }
  };
  expect_curve(Binning::EqualWidth, {0.5, 0.5, 0.5, 0.36363636363636365, 0.4},
               {0.11097873105061032, 0.2871648619831417, 0.4922279373892752, 0.7097754617585432, 0.8898433036765655});
  expect_curve(Binning::EqualMass,
               {0.5384615384615384, 0.45454545454545453, 0.5, 0.46153846153846156, 0.2727272727272727},
               {0.09449100964543816, 0.24216762305947226, 0.4948186249261835, 0.7616666133280136, 0.9098722726204158});
}

TEST(MetricsOfScikitLearn, DeLongVariance) {
  const Case c;
  const std::span<const float> models[] = {c.scores};
  EXPECT_NEAR(delong(models, c.labels).variance(0), 0.005582143535753712, 1e-15);
}

TEST(MetricsOfScikitLearn, NdcgAndMapOfGradedLists) {
  const Case c;
  const GradedRows rows{c.floors, c.grades, c.groups};
  const auto ndcg_of = [&](int64_t k, Gain gain, Ties ties) {
    return *evaluate_graded(rows, {.k = k, .gain = gain, .ties = ties}).ndcg.value;
  };
  EXPECT_NEAR(ndcg_of(0, Gain::Linear, Ties::Average), 0.8213962142311361, 1e-12);
  EXPECT_NEAR(ndcg_of(0, Gain::Exponential, Ties::Average), 0.7953705167094252, 1e-12);
  EXPECT_NEAR(ndcg_of(0, Gain::Linear, Ties::ByOrder), 0.800576147093965, 1e-12);
  EXPECT_NEAR(ndcg_of(5, Gain::Linear, Ties::Average), 0.5770243784886739, 1e-12);
  EXPECT_NEAR(ndcg_of(5, Gain::Exponential, Ties::Average), 0.5281625759805355, 1e-12);
  EXPECT_NEAR(ndcg_of(5, Gain::Linear, Ties::ByOrder), 0.5454205574340913, 1e-12);
  EXPECT_NEAR(*evaluate_graded(rows).map.value, 0.7887962962962963, 1e-12);
  EXPECT_NEAR(*evaluate_graded(rows, {.k = 5}).map.value, 0.643888888888889, 1e-12);
}

}  // namespace
}  // namespace winnow
