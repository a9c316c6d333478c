// serve/bandits/ope.h: every estimator against its formula written out, unbiasedness, coverage, what is refused.
#include "serve/bandits/ope.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "core/error.h"
#include "core/rng.h"
#include "tests/error_text.h"

namespace winnow {
namespace {

// Four rows, two actions, a policy that prefers action 1; no context.
LoggedBandit small_log() {
  LoggedBandit log;
  log.rows = 4, log.actions = 2;
  log.action = {0, 1, 1, 0};
  log.position = {0, 0, 0, 0};
  log.reward = {1, 0, 3, 2};
  log.propensity = {0.5, 0.8, 0.1, 0.5};
  log.policy = {0.25, 0.75};
  return log;
}

OpeOptions options_for(std::vector<std::string> estimators) {
  OpeOptions o;
  o.estimators = std::move(estimators);
  o.model.folds = 1;
  o.model.kind = RewardModelOptions::Ridge;
  o.bootstrap.resamples = 0;
  return o;
}

double value_of(const OpeReport& report, const std::string& name) {
  for (const OpeEstimate& e : report.estimates)
    if (e.name == name) return e.value;
  ADD_FAILURE() << name;
  return 0;
}

TEST(OffPolicyEvaluation, WeightedEstimatorsAreTheirFormulas) {
  const LoggedBandit log = small_log();
  OpeOptions options = options_for({"ips", "snips", "clipped"});
  options.clip = 2;
  const OpeReport r = evaluate_policy(log, options);
  const double w[] = {0.25 / 0.5, 0.75 / 0.8, 0.75 / 0.1, 0.25 / 0.5};
  const double sum = w[0] * 1 + w[1] * 0 + w[2] * 3 + w[3] * 2, weights = w[0] + w[1] + w[2] + w[3];
  EXPECT_NEAR(value_of(r, "ips"), sum / 4, 1e-15);
  EXPECT_NEAR(value_of(r, "snips"), sum / weights, 1e-15);
  EXPECT_NEAR(value_of(r, "clipped"), (w[0] * 1 + 2.0 * 3 + w[3] * 2) / 4, 1e-15);
  EXPECT_NEAR(r.effective_sample_size, weights * weights / (w[0] * w[0] + w[1] * w[1] + w[2] * w[2] + w[3] * w[3]),
              1e-12);
  EXPECT_NEAR(r.logged.value, 1.5, 1e-15);
  // the delta method of a ratio
  double squares = 0;
  for (int i = 0; i < 4; ++i) squares += std::pow(w[i] * (log.reward[static_cast<size_t>(i)] - sum / weights), 2);
  EXPECT_NEAR(r.estimates[1].standard_error, std::sqrt(squares / 3 / 4) / (weights / 4), 1e-12);
  EXPECT_NEAR(r.estimates[1].normal.high - r.estimates[1].value, 1.959963984540054 * r.estimates[1].standard_error,
              1e-12);
}

// Ridge on [1, is 0, is 1] with an intercept that is not penalised: by symmetry of the indicators, the intercept is
// free and the two effects are +-e: minimise sum (r - c -+ e)^2 + 2 l2 e^2.
TEST(OffPolicyEvaluation, ModelEstimatorsAreTheirFormulas) {
  const LoggedBandit log = small_log();
  OpeOptions options = options_for({"dm", "dr", "switch"});
  options.switch_threshold = 1;
  const OpeReport r = evaluate_policy(log, options);
  // rewards of action 0: 1, 2; of action 1: 0, 3. Both have the mean 1.5, so that e = 0 and c = 1.5.
  const double q = 1.5;
  EXPECT_NEAR(value_of(r, "dm"), q, 1e-12);
  const double w[] = {0.5, 0.9375, 7.5, 0.5}, reward[] = {1, 0, 3, 2};
  double dr = 0, switched = 0;
  for (int i = 0; i < 4; ++i) {
    dr += q + w[i] * (reward[i] - q);
    switched += q + (w[i] <= 1 ? w[i] * (reward[i] - q) : 0);
  }
  EXPECT_NEAR(value_of(r, "dr"), dr / 4, 1e-12);
  EXPECT_NEAR(value_of(r, "switch"), switched / 4, 1e-12);
  EXPECT_EQ(r.reward_model, "ridge");
}

// Without context and with one action the model is the mean reward of the other folds.
TEST(OffPolicyEvaluation, FoldsOfTheLogArePredictedByTheOthers) {
  LoggedBandit log;
  log.rows = 4, log.actions = 1;
  log.action = log.position = {0, 0, 0, 0};
  log.reward = {0, 2, 1, 5};
  log.propensity = {1, 1, 1, 1};
  log.policy = {1};
  log.fold = {0, 1, 0, 1};
  RewardModelOptions options;
  const RewardPredictions p = fit_reward_model(log, options);
  for (size_t i = 0; i < 4; ++i) EXPECT_NEAR(p.direct[i], log.fold[i] == 0 ? 3.5 : 0.5, 1e-12) << i;
  log.fold = {0, 1, 0, 0};
  EXPECT_NE(text_of<DataError>([&] { fit_reward_model(log, options); }).find("has 1 rows outside of a fold of 3"),
            std::string::npos);
  log.fold = {0, 1};
  EXPECT_THROW(log.check(), DataError);
}

// One number of context: the normal equations of [1, x, is 0, is 1] solved by hand through elimination of the rest.
TEST(OffPolicyEvaluation, LogisticModelIsAtTheMinimumOfItsObjective) {
  LoggedBandit log;
  log.rows = 60, log.actions = 3, log.width = 1;
  Rng rng(3);
  for (int i = 0; i < 60; ++i) {
    const double x = rng.normal();
    const auto a = static_cast<int32_t>(rng.below(3));
    log.features.push_back(x);
    log.action.push_back(a);
    log.position.push_back(0);
    log.propensity.push_back(1.0 / 3);
    log.reward.push_back(rng.uniform() < 1 / (1 + std::exp(-x - a + 1)) ? 1 : 0);
  }
  log.policy = {0.2, 0.3, 0.5};
  RewardModelOptions options;
  options.folds = 1, options.l2 = 0.7;
  const RewardPredictions p = fit_reward_model(log, options);
  ASSERT_EQ(p.kind, RewardModelOptions::Logistic);
  // The gradient at the minimum: the residuals sum to 0 against the intercept, to l2 theta against the rest. theta is
  // read off the logits of the predictions, which are linear in it.
  const auto logit = [&](size_t i) { return std::log(p.logged[i] / (1 - p.logged[i])); };
  double residuals = 0, against_x = 0, of_action[3] = {};
  for (size_t i = 0; i < 60; ++i) {
    const double e = log.reward[i] - p.logged[i];
    residuals += e, against_x += e * log.features[i], of_action[log.action[i]] += e;
  }
  EXPECT_NEAR(residuals, 0, 1e-9);
  size_t first[3] = {60, 60, 60}, second[3] = {60, 60, 60};
  for (size_t i = 60; i-- > 0;) second[log.action[i]] = first[log.action[i]], first[log.action[i]] = i;
  const double slope = (logit(first[0]) - logit(second[0])) / (log.features[first[0]] - log.features[second[0]]);
  EXPECT_NEAR(against_x, 0.7 * slope, 1e-8);
  // effects of actions sum to 0, as the intercept is free
  double level[3], mean = 0;
  for (int a = 0; a < 3; ++a) mean += (level[a] = logit(first[a]) - slope * log.features[first[a]]) / 3;
  for (int a = 0; a < 3; ++a) EXPECT_NEAR(of_action[a], 0.7 * (level[a] - mean), 1e-8);
  for (size_t i = 0; i < 60; ++i) {
    double direct = 0;
    for (int a = 0; a < 3; ++a)
      direct += log.policy[static_cast<size_t>(a)] / (1 + std::exp(-level[a] - slope * log.features[i]));
    EXPECT_NEAR(p.direct[i], direct, 1e-9);
  }
}

// A log of a soft policy and the soft policy to evaluate, over two numbers of context and three actions.
struct SyntheticLog {
  static void softmax(double (&p)[3]) {
    double sum = 0;
    for (double& v : p) sum += v = std::exp(v);
    for (double& v : p) v /= sum;
  }
  static void logging(double x, double y, double (&p)[3]) {
    p[0] = 0.5 * x, p[1] = 0.5 * y, p[2] = 0;
    softmax(p);
  }
  static void evaluated(double x, double y, double (&p)[3]) {
    p[0] = 0, p[1] = 0.8 * y, p[2] = 0.8 * x;
    softmax(p);
  }
  static double mean(double x, double y, int a) { return 0.5 * x - 0.3 * y + 0.4 * a; }

  static double truth() {
    Rng rng(99);
    double sum = 0;
    constexpr int kDraws = 400000;
    for (int i = 0; i < kDraws; ++i) {
      const double x = rng.normal(), y = rng.normal();
      for (const double sign : {1.0, -1.0}) {  // antithetic
        double p[3];
        evaluated(sign * x, sign * y, p);
        for (int a = 0; a < 3; ++a) sum += p[a] * mean(sign * x, sign * y, a) / 2;
      }
    }
    return sum / kDraws;
  }
  static LoggedBandit draw(int64_t rows, uint64_t seed) {
    LoggedBandit log;
    log.rows = rows, log.actions = 3, log.width = 2, log.policy_by_row = true;
    Rng rng(seed, 7);
    for (int64_t i = 0; i < rows; ++i) {
      const double x = rng.normal(), y = rng.normal();
      double p[3], q[3];
      logging(x, y, p), evaluated(x, y, q);
      const double u = rng.uniform();
      const int a = u < p[0] ? 0 : u < p[0] + p[1] ? 1 : 2;
      log.features.insert(log.features.end(), {x, y});
      log.action.push_back(a);
      log.position.push_back(0);
      log.propensity.push_back(p[a]);
      log.reward.push_back(mean(x, y, a) + 0.7 * rng.normal());
      log.policy.insert(log.policy.end(), q, q + 3);
    }
    return log;
  }
};

// 500 logs of 800 rows: the estimates average to the truth (but for the clipped one), and the intervals hold it.
TEST(OffPolicyEvaluation, IntervalsHoldTheTruth) {
  const double truth = SyntheticLog::truth();
  constexpr int kLogs = 500;
  OpeOptions options;
  options.model.l2 = 0.01;
  options.bootstrap.resamples = 400;
  const size_t n = options.estimators.size();
  std::vector<double> sum(n), squares(n);
  std::vector<int> by_bootstrap(n), by_normal(n);
  for (int s = 0; s < kLogs; ++s) {
    options.bootstrap.seed = options.model.seed = static_cast<uint64_t>(s);
    const OpeReport r = evaluate_policy(SyntheticLog::draw(800, static_cast<uint64_t>(s + 1000)), options);
    for (size_t e = 0; e < n; ++e) {
      const OpeEstimate& estimate = r.estimates[e];
      sum[e] += estimate.value, squares[e] += estimate.value * estimate.value;
      by_bootstrap[e] += estimate.bootstrap.low <= truth && truth <= estimate.bootstrap.high;
      by_normal[e] += estimate.normal.low <= truth && truth <= estimate.normal.high;
    }
  }
  for (size_t e = 0; e < n; ++e) {
    const double mean = sum[e] / kLogs, error = std::sqrt((squares[e] / kLogs - mean * mean) / kLogs);
    std::printf("%-8s bias %+.5f (standard error %.5f), bootstrap %.3f, normal %.3f\n", options.estimators[e].c_str(),
                mean - truth, error, by_bootstrap[e] / double{kLogs}, by_normal[e] / double{kLogs});
    EXPECT_LT(std::abs(mean - truth), 4 * error) << options.estimators[e];
    EXPECT_GE(by_bootstrap[e], 0.93 * kLogs) << options.estimators[e];
    EXPECT_GE(by_normal[e], 0.93 * kLogs) << options.estimators[e];
  }
}

// Without the error of the fit, the direct method's interval would be far too short.
TEST(OffPolicyEvaluation, TheDirectMethodCountsTheErrorOfItsFit) {
  OpeOptions options = options_for({"dm"});
  options.model.folds = 3, options.model.l2 = 0.01;
  double sum = 0, squares = 0, claimed = 0;
  constexpr int kLogs = 300;
  for (uint64_t s = 0; s < kLogs; ++s) {
    const OpeReport r = evaluate_policy(SyntheticLog::draw(300, s), options);
    sum += r.estimates[0].value, squares += r.estimates[0].value * r.estimates[0].value;
    claimed += r.estimates[0].standard_error / kLogs;
  }
  const double spread = std::sqrt(squares / kLogs - sum / kLogs * sum / kLogs);
  EXPECT_NEAR(claimed / spread, 1, 0.15);
}

TEST(OffPolicyEvaluation, SwitchDropsTheCorrectionsOfHugeWeights) {
  LoggedBandit log = SyntheticLog::draw(500, 1);
  OpeOptions options = options_for({"dr", "switch"});
  const OpeReport soft = evaluate_policy(log, options);
  EXPECT_EQ(value_of(soft, "switch"), value_of(soft, "dr"));
  log.propensity[3] = 1e-6;  // one row would carry everything
  const OpeReport hard = evaluate_policy(log, options);
  EXPECT_GT(hard.estimates[0].standard_error, 100);
  EXPECT_LT(hard.estimates[1].standard_error, 0.2);
  EXPECT_NEAR(value_of(hard, "switch"), value_of(soft, "switch"), 0.1);
}

TEST(OffPolicyEvaluation, WarnsOfLittleOverlap) {
  LoggedBandit log = SyntheticLog::draw(2000, 1);
  OpeOptions options = options_for({"ips"});
  EXPECT_TRUE(evaluate_policy(log, options).warnings.empty());
  log.propensity[5] = 1e-5;
  const auto warnings = evaluate_policy(log, options).warnings;
  ASSERT_GE(warnings.size(), 2u);
  EXPECT_TRUE(warnings[0].starts_with("small overlap: the weighted rows are worth 1 of 2000")) << warnings[0];
  EXPECT_TRUE(warnings[1].starts_with("one row carries")) << warnings[1];
  LoggedBandit wrong = SyntheticLog::draw(2000, 1);
  for (double& p : wrong.propensity) p = p / 2;
  EXPECT_NE(evaluate_policy(wrong, options).warnings.back().find("should average 1"), std::string::npos);
  LoggedBandit unseen = small_log();
  unseen.action = {0, 0, 0, 0};
  EXPECT_NE(evaluate_policy(unseen, options).warnings.back().find("75 % of its choices to actions that are not"),
            std::string::npos);
}

TEST(OffPolicyEvaluation, RefusesBrokenLogs) {
  const auto refused = [](auto&& change) {
    LoggedBandit log = small_log();
    change(log);
    return text_of<DataError>([&] { evaluate_policy(log, options_for({"ips"})); });
  };
  EXPECT_NE(refused([](LoggedBandit& l) { l.propensity[1] = 0; }).find("row 1: propensity 0"), std::string::npos);
  EXPECT_NE(refused([](LoggedBandit& l) { l.action[2] = 2; }).find("row 2: action 2 of 2"), std::string::npos);
  EXPECT_NE(refused([](LoggedBandit& l) { l.policy[0] = 0.5; }).find("sum to 1.25"), std::string::npos);
  EXPECT_NE(refused([](LoggedBandit& l) { l.reward[0] = NAN; }).find("row 0: reward nan"), std::string::npos);
  EXPECT_NE(text_of<ConfigError>([] { evaluate_policy(small_log(), options_for({"isp"})); }).find("did you mean 'ips'"),
            std::string::npos);
}

class LogFiles : public testing::Test {
 protected:
  void SetUp() override {
    directory_ = std::filesystem::temp_directory_path() / ("winnow_ope_" + std::to_string(getpid()));
    std::filesystem::create_directories(directory_);
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }
  std::string write(const std::string& name, const std::string& text) {
    const std::string path = (directory_ / name).string();
    std::ofstream(path) << text;
    return path;
  }
  std::filesystem::path directory_;
};

TEST_F(LogFiles, ColumnsBecomeContextsAndProbabilities) {
  LoggedBanditSpec spec;
  spec.log.path = write("log.csv",
                        "item,slot,click,p,age,city\n"
                        "a,left,1,0.5,30,x\nb,right,0,0.5,20,y\na,left,0,0,25,x\nb,left,0,0.25,40,x\n");
  spec.action = "item", spec.reward = "click", spec.propensity = "p", spec.position = "slot";
  spec.features = {"age", "cit*"};
  spec.fold = "city";
  spec.policy_table = write(
      "policy.csv", "action,position,probability\nb,left,0.9\na,left,0.1\nb,right,0.4\na,right,0.5\nc,right,0.1\n");
  const LoggedBandit log = read_logged_bandit(spec);
  EXPECT_EQ(log.rows, 3);
  EXPECT_EQ(log.zero_propensities, 1);
  EXPECT_EQ(log.action_names, (std::vector<std::string>{"b", "a", "c"}));
  EXPECT_EQ(log.features, (std::vector<double>{30, 1, 0, 20, 0, 1, 40, 1, 0}));
  EXPECT_EQ(log.fold, (std::vector<int32_t>{0, 1, 0}));
  EXPECT_EQ(log.weight(0), 0.1 / 0.5);
  EXPECT_EQ(log.weight(1), 0.4 / 0.5);
  EXPECT_EQ(log.weight(2), 0.9 / 0.25);
  spec.action_table = write("items.csv", "item,price,kind\nc,3,u\na,1,v\nb,2,u\n");
  spec.action_features = {"price", "kind"};
  const LoggedBandit with_actions = read_logged_bandit(spec);
  EXPECT_EQ(with_actions.action_features, (std::vector<double>{2, 1, 0, 1, 0, 1, 3, 1, 0}));
}

TEST_F(LogFiles, ProbabilitiesInColumns) {
  LoggedBanditSpec spec;
  spec.log.path = write("log.csv", "action,reward,propensity,pi_1,pi_0\n0,1,0.5,0.25,0.75\n1,0,0.5,0.5,0.5\n");
  spec.policy_columns = "pi_";
  const LoggedBandit log = read_logged_bandit(spec);
  EXPECT_EQ(log.weight(0), 0.75 / 0.5);
  EXPECT_EQ(log.weight(1), 0.5 / 0.5);
}

TEST_F(LogFiles, SaysWhatIsWrongWithALog) {
  LoggedBanditSpec spec;
  const auto refused = [&](const std::string& text) {
    spec.log.path = write("log.csv", text);
    return text_of<Error>([&] { read_logged_bandit(spec); });
  };
  EXPECT_NE(refused("action,reward,propensity\n0,1,0.5\n").find("the evaluation policy is one of"), std::string::npos);
  spec.policy_columns = "pi_";
  EXPECT_NE(refused("action,reward,propensity\n0,1,0.5\n").find("no column begins with 'pi_'"), std::string::npos);
  EXPECT_NE(refused("action,reward,propensity,pi_0\n0,1,1.5,1\n")
                .find("row 1: column 'propensity' is 1.5, not a probability"),
            std::string::npos);
  EXPECT_NE(refused("action,reward,propensity,pi_0\n0,,0.5,1\n").find("row 1: column 'reward' is empty"),
            std::string::npos);
  EXPECT_NE(refused("action,reward,propensity,pi_0\n7,1,0.5,1\n").find("is '7', which the policy does not know"),
            std::string::npos);
  EXPECT_NE(refused("action,reward,propensity,pi_0,pi_1\n0,1,0.5,1,0.2\n").find("sum to 1.2"), std::string::npos);
  EXPECT_NE(refused("action,reward,propensity,pi_0\n0,1,0,1\n").find("no row with a propensity over 0"),
            std::string::npos);
}

}  // namespace
}  // namespace winnow
