// winnow compare: runs on the same rows, and the refusal of all others.
#include "train/compare.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "core/parallel.h"
#include "core/rng.h"
#include "tests/data_files.h"
#include "tests/error_text.h"
#include "train/metrics_binary.h"
#include "train/predictions.h"

namespace winnow {
namespace {

class Compare : public ::testing::Test {
 protected:
  // skill: how much of the label the logits know.
  static Predictions predictions(double skill, uint64_t seed, int rows = 1500) {
    Rng labels(1), noise(seed);
    Predictions p{.split = "test", .model = "FM", .data = "n=1500 h=1"};
    for (int i = 0; i < rows; ++i) {
      p.labels.push_back(labels.uniform() < 0.3 ? 1 : 0);
      p.logits.push_back(static_cast<float>(skill * (p.labels.back() - 0.3) - 0.9 + 0.3 * noise.normal()));
      p.weights.push_back(1);
      p.users.push_back(i % 7);
      p.items.push_back(i % 11);
    }
    return p;
  }
  std::string write(const std::string& name, const Predictions& p) const {
    const std::string run = directory_.path() + "/" + name;
    make_directories(run);
    save_predictions(run + "/predictions.safetensors", p);
    return run;
  }
  TemporaryDirectory directory_;
};

TEST_F(Compare, PredictionsReadBackEqual) {
  const Predictions p = predictions(1, 2, 33);
  const Predictions q = load_predictions(write("a", p) + "/predictions.safetensors");
  EXPECT_EQ(p.logits, q.logits);
  EXPECT_EQ(p.labels, q.labels);
  EXPECT_EQ(p.weights, q.weights);
  EXPECT_EQ(p.users, q.users);
  EXPECT_EQ(p.items, q.items);
  EXPECT_EQ(p.split + p.model + p.data, q.split + q.model + q.data);
}

TEST_F(Compare, ABetterRunIsMarkedAndItsDifferenceSignificant) {
  const auto a = write("weak", predictions(0.2, 2)), b = write("strong", predictions(0.8, 3));
  const Comparison c = compare_runs({a, b});
  EXPECT_EQ(c.rows, 1500);
  EXPECT_EQ(c.best, (std::vector<int>{1, 1, 1, 1}));
  ASSERT_EQ(c.pairs.size(), 5u) << "a bootstrap test a metric, and DeLong's";
  for (const ComparedPair& p : c.pairs) {
    EXPECT_TRUE(p.significant) << p.metric << p.test;
    EXPECT_EQ(*p.difference < 0, higher_is_better(p.metric)) << p.metric;
    EXPECT_LT(p.interval.low, *p.difference);
    EXPECT_GT(p.interval.high, *p.difference);
  }
  EXPECT_EQ(c.pairs[0].test, "bootstrap");
  EXPECT_EQ(c.pairs[1].test, "delong");
  EXPECT_NEAR(c.pairs[0].interval.low, c.pairs[1].interval.low, 0.01) << "the two intervals of one difference";
  EXPECT_EQ(c.note, "");
}

TEST_F(Compare, MetricsAreThoseOfAnEvaluation) {
  const Predictions p = predictions(0.5, 2);
  const Comparison c = compare_runs({write("a", p), write("b", predictions(0.4, 3))});
  const auto values = evaluate_binary({p.logits, p.labels});
  for (const MetricValue& v : c.runs[0].metrics) {
    const MetricValue& expected = *find_metric(values, v.name);
    EXPECT_EQ(*v.value, *expected.value) << v.name;
    EXPECT_NEAR(v.low, expected.low, 0.1 * (expected.high - expected.low)) << v.name;
  }
  EXPECT_TRUE(c.runs[0].auc_delong);
}

TEST_F(Compare, ARunDoesNotDifferFromItself) {
  const Predictions p = predictions(0.5, 2);
  const Comparison c = compare_runs({write("a", p), write("b", p)});
  for (const ComparedPair& pair : c.pairs) {
    EXPECT_EQ(*pair.difference, 0) << pair.metric;
    EXPECT_EQ(pair.p_value, 1) << pair.metric;
    EXPECT_FALSE(pair.significant);
  }
  EXPECT_EQ(c.best[0], 0) << "the first of equals";
}

TEST_F(Compare, SameBitsForAnyThreads) {
  const std::vector<std::string> runs = {write("a", predictions(0.3, 2)), write("b", predictions(0.4, 3))};
  const int before = num_threads();
  set_num_threads(1);
  const std::string one = compare_runs(runs).json();
  set_num_threads(3);
  const std::string three = compare_runs(runs).json();
  set_num_threads(before);
  EXPECT_EQ(one, three);
  EXPECT_EQ(nlohmann::json::parse(one)["pairs"].size(), 5u);
}

TEST_F(Compare, WeightedRowsHaveNoDeLongTestAndSaySo) {
  Predictions a = predictions(0.3, 2), b = predictions(0.4, 3);
  a.weights[0] = b.weights[0] = 2;
  const Comparison c = compare_runs({write("a", a), write("b", b)}, {.metrics = {"auc"}});
  ASSERT_EQ(c.pairs.size(), 1u);
  EXPECT_EQ(c.pairs[0].test, "bootstrap");
  EXPECT_EQ(c.note, "There is no DeLong test: rows have different weights; use the bootstrap interval.");
}

TEST_F(Compare, ManyPairsNeedManyResamples) {
  std::vector<std::string> runs;
  for (uint64_t i = 0; i < 8; ++i) runs.push_back(write(std::to_string(i), predictions(0.3, i + 2, 200)));
  const Comparison c = compare_runs(runs, {.metrics = {"brier"}, .bootstrap = {.resamples = 200}});
  EXPECT_EQ(c.pairs.size(), 28u);
  EXPECT_EQ(c.note, "200 resamples cannot make a bootstrap difference significant among 28 pairs; use 1121 or more.");
}

TEST_F(Compare, RefusesWhatCannotBeCompared) {
  const Predictions p = predictions(0.3, 2);
  const std::string a = write("a", p);
  Predictions other = p;
  other.data = "n=1500 h=2";
  const std::string b = write("b", other);
  EXPECT_EQ(text_of<DataError>([&] {
              compare_runs({a, b});
            }),
            a + " and " + b +
                " were evaluated on different rows (fingerprints n=1500 h=1 and n=1500 h=2): their data sections or "
                "files differ, so they cannot be compared row by row");
  other = p;
  other.split = "valid";
  EXPECT_NE(text_of<DataError>([&] {
              compare_runs({a, write("c", other)});
            }).find("was evaluated on the test split"),
            std::string::npos);
  other = p;
  other.weights[3] = 2;
  EXPECT_NE(text_of<DataError>([&] {
              compare_runs({a, write("d", other)});
            }).find("different weights"),
            std::string::npos);
  EXPECT_NE(text_of<IoError>([&] {
              compare_runs({a, directory_.path() + "/none"});
            }).find("winnow evaluate --run " + directory_.path() + "/none --save"),
            std::string::npos);
  EXPECT_EQ(text_of<ConfigError>([&] { compare_runs({a}); }), "compare: 1 runs; give 2 to 64 run directories");
  EXPECT_EQ(
      text_of<ConfigError>([&] {
        compare_runs({a, a}, {.metrics = {"aucc"}});
      }),
      "compare: metric 'aucc' cannot be compared; did you mean 'auc'?; use some of: auc, pr_auc, logloss, ne, brier");
}

TEST(Holm, StepsDown) {
  EXPECT_EQ(holm({0.01, 0.04, 0.03}), (std::vector<double>{0.03, 0.06, 0.06}));
  EXPECT_EQ(holm({0.5, 0.9}), (std::vector<double>{1, 1}));
  EXPECT_TRUE(holm({}).empty());
}

TEST(BootstrapPValue, CountsTheSamplesBeyondZero) {
  std::vector<double> samples(999, 1.0);
  EXPECT_DOUBLE_EQ(bootstrap_p_value(samples), 2.0 / 1000);
  for (size_t i = 0; i < 24; ++i) samples[i] = -1;
  EXPECT_DOUBLE_EQ(bootstrap_p_value(samples), 2 * 25.0 / 1000);
  EXPECT_EQ(bootstrap_p_value(std::vector<double>(10, 0.0)), 1);
  EXPECT_TRUE(std::isnan(bootstrap_p_value(std::vector<double>(10, NAN))));
}

}  // namespace
}  // namespace winnow
