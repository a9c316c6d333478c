// serve/bandits/policy.h: scores against the papers' formulas, posteriors against closed forms, propensities against
// how often a choice is made, saved policies against unbroken ones.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <numeric>

#include "core/error.h"
#include "core/file.h"
#include "nn/layers.h"
#include "serve/bandits/cholesky.h"
#include "serve/bandits/linear_model.h"
#include "serve/bandits/max_probability.h"
#include "serve/bandits/neural.h"
#include "serve/bandits/policy.h"
#include "tests/error_text.h"

namespace winnow {
namespace {

std::vector<double> normals(size_t n, Rng& rng) {
  std::vector<double> out(n);
  for (double& v : out) v = rng.normal();
  return out;
}

// Gauss and Jordan: A^-1 b for the tests alone.
std::vector<double> solve_dense(std::vector<double> a, std::vector<double> b) {
  const size_t n = b.size();
  for (size_t k = 0; k < n; ++k)
    for (size_t i = 0; i < n; ++i) {
      if (i == k) continue;
      const double f = a[i * n + k] / a[k * n + k];
      for (size_t j = 0; j < n; ++j) a[i * n + j] -= f * a[k * n + j];
      b[i] -= f * b[k];
    }
  for (size_t k = 0; k < n; ++k) b[k] /= a[k * n + k];
  return b;
}

TEST(Cholesky, UpdatesAreABatchSolve) {
  constexpr int64_t n = 12;
  Rng rng(1);
  Cholesky updated(n, 0.5);
  std::vector<double> matrix(n * n);
  for (int64_t i = 0; i < n; ++i) matrix[static_cast<size_t>(i * n + i)] = 0.5;
  for (int r = 0; r < 3000; ++r) {
    const std::vector<double> x = normals(n, rng);
    const double weight = rng.uniform();
    updated.add(x, weight);
    for (size_t i = 0; i < n; ++i)
      for (size_t j = 0; j < n; ++j) matrix[i * n + j] += weight * x[i] * x[j];
  }
  const Cholesky whole = Cholesky::of(matrix, n);
  for (size_t i = 0; i < whole.packed().size(); ++i) EXPECT_NEAR(updated.packed()[i], whole.packed()[i], 1e-9);
  const std::vector<double> b = normals(n, rng), expected = solve_dense(matrix, b);
  std::vector<double> solved = b;
  updated.solve(solved);
  for (size_t i = 0; i < n; ++i) EXPECT_NEAR(solved[i], expected[i], 1e-12);
  EXPECT_NEAR(updated.inverse_form(b), dot(b, expected), 1e-12);
  EXPECT_NE(text_of<DataError>([] {
              Cholesky::of(std::vector<double>{1, 2, 2, 1}, 2);
            }).find("not positive definite"),
            std::string::npos);
}

// Rows of arms, contexts and features, learnt by a model and gathered as one ridge regression on [z, x of each arm].
struct Joint {
  static constexpr size_t kArms = 3, kD = 2, kK = 4, kAll = kK + kArms * kD;
  std::vector<double> a = std::vector<double>(kAll * kAll), b = std::vector<double>(kAll);
  explicit Joint(double ridge) {
    for (size_t i = 0; i < kAll; ++i) a[i * kAll + i] = ridge;
  }
  static std::vector<double> row(size_t arm, const std::vector<double>& x, const std::vector<double>& z) {
    std::vector<double> out(z);
    out.resize(kAll);
    std::copy(x.begin(), x.end(), out.begin() + static_cast<ptrdiff_t>(kK + arm * kD));
    return out;
  }
  void add(const std::vector<double>& row, double weight, double target) {
    for (size_t i = 0; i < kAll; ++i) {
      b[i] += weight * target * row[i];
      for (size_t j = 0; j < kAll; ++j) a[i * kAll + j] += weight * row[i] * row[j];
    }
  }
};

TEST(LinearModel, HybridUpdatesAreOneRidgeRegression) {
  LinearModel model(Joint::kArms, Joint::kD, Joint::kK, 0.7);
  Joint joint(0.7);
  Rng rng(2);
  for (int r = 0; r < 500; ++r) {
    const auto arm = static_cast<size_t>(rng.below(Joint::kArms));
    const auto x = normals(Joint::kD, rng), z = normals(Joint::kK, rng);
    const double weight = 0.2 + rng.uniform(), target = rng.normal();
    model.update(static_cast<int64_t>(arm), x, z, weight, weight * target);
    joint.add(Joint::row(arm, x, z), weight, target);
  }
  for (size_t arm = 0; arm < Joint::kArms; ++arm) {
    const auto x = normals(Joint::kD, rng), z = normals(Joint::kK, rng);
    const auto row = Joint::row(arm, x, z);
    const LinearModel::Prediction p = model.predict(static_cast<int64_t>(arm), x, z);
    EXPECT_NEAR(p.mean, dot(row, solve_dense(joint.a, joint.b)), 1e-9);
    EXPECT_NEAR(model.variance(p), dot(row, solve_dense(joint.a, row)), 1e-9);
  }
}

struct Case {
  BanditOptions options;
  std::string name;
};

std::vector<Case> cases() {
  std::vector<Case> out;
  for (const std::string& kind : bandit_kinds())
    for (const char* form : {"disjoint", "shared", "hybrid", "means"}) {
      BanditOptions o;
      o.kind = parse_bandit_kind(kind);
      const std::string f = form;
      if (o.kind == BanditKind::ThompsonBernoulli && f != "means") continue;
      o.arms = f == "shared" ? 0 : 4;
      o.context_dim = f == "disjoint" || f == "hybrid" ? 3 : 0;
      o.feature_dim = f == "shared" || f == "hybrid" ? 2 : 0;
      o.epsilon = 0.3, o.draws = 200, o.seed = 5;
      out.push_back({o, kind + "_" + f});
    }
  return out;
}

// What a policy is asked: four candidates.
struct Request {
  std::vector<int64_t> arms;
  std::vector<double> context, features;
  Request(const BanditOptions& o, Rng& rng)
      : context(normals(static_cast<size_t>(o.context_dim), rng)),
        features(normals(static_cast<size_t>(4 * o.feature_dim), rng)) {
    if (o.arms > 0) arms = {2, 0, 3, 1};
  }
  Candidates candidates() const { return {.arms = arms, .context = context, .features = features}; }
  Feedback feedback(const BanditOptions& o, size_t c, double reward, double propensity) const {
    const auto k = static_cast<size_t>(o.feature_dim);
    return {arms.empty() ? -1 : arms[c], context, std::span(features).subspan(c * k, k), reward, propensity};
  }
};

void play(BanditPolicy& policy, int rounds, uint64_t seed, std::vector<double>* trace = nullptr) {
  Rng rng(seed);
  for (int i = 0; i < rounds; ++i) {
    const Request request(policy.options(), rng);
    const Decision d = policy.choose(request.candidates(), 3, i % 50 == 0);
    const auto first = static_cast<size_t>(d.ranking[0]);
    const double reward = rng.uniform() < 0.2 + 0.15 * static_cast<double>(first) ? 1 : 0;
    policy.learn(request.feedback(policy.options(), first, reward, std::isnan(d.propensity) ? 1 : d.propensity));
    if (trace != nullptr) {
      trace->insert(trace->end(), d.ranking.begin(), d.ranking.end());
      if (!std::isnan(d.propensity)) trace->push_back(d.propensity);
    }
  }
}

class EveryPolicy : public testing::TestWithParam<Case> {};

TEST_P(EveryPolicy, PropensitiesSumToOneAndAreHowOftenAChoiceIsMade) {
  const auto policy = BanditPolicy::create(GetParam().options);
  play(*policy, 30, 1);
  Rng rng(9);
  const Request request(policy->options(), rng);
  constexpr int kDraws = 20000;
  const std::vector<double> ranks = policy->rank_probabilities(request.candidates(), 2, kDraws);
  for (size_t r = 0; r < 2; ++r)
    EXPECT_NEAR(std::accumulate(ranks.begin() + static_cast<ptrdiff_t>(4 * r),
                                ranks.begin() + static_cast<ptrdiff_t>(4 * r + 4), 0.0),
                1, 1e-7);
  // decisions change only epsilon_greedy's and squarecb's schedule, by little after this many; compare with the middle
  std::vector<double> chosen(4), second(4);
  double first_propensity = -1;
  for (int i = 0; i < kDraws; ++i) {
    if (policy->options().kind == BanditKind::SquareCb && i > 0) break;
    const Decision d = policy->choose(request.candidates(), 2, i == 0);
    chosen[static_cast<size_t>(d.ranking[0])] += 1.0 / kDraws,
        second[static_cast<size_t>(d.ranking[1])] += 1.0 / kDraws;
    if (i > 0) continue;
    first_propensity = d.propensity;
    const double p = ranks[static_cast<size_t>(d.ranking[0])];
    // 200 draws beside 20000, or the same closed form
    EXPECT_NEAR(first_propensity, p, 5 * std::sqrt(p * (1 - p) / 200) + 1.0 / 200);
  }
  if (policy->options().kind == BanditKind::SquareCb) return;
  for (size_t c = 0; c < 4; ++c) {
    EXPECT_NEAR(chosen[c], ranks[c], 5 * std::sqrt(2 * 0.25 / kDraws)) << c;
    EXPECT_NEAR(second[c], ranks[4 + c], 5 * std::sqrt(2 * 0.25 / kDraws)) << c;
  }
}

class SavedPolicy : public EveryPolicy {
 protected:
  void SetUp() override {
    std::string name = GetParam().name;
    path_ = (std::filesystem::temp_directory_path() / ("winnow_bandit_" + name + std::to_string(getpid()))).string();
  }
  void TearDown() override { std::filesystem::remove(path_); }
  std::string bytes() const {
    std::ifstream in(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  static std::unique_ptr<BanditPolicy> read(const std::string& bytes) {
    const auto owner = std::make_shared<std::string>(bytes);
    const SafeTensors file = SafeTensors::parse(std::as_bytes(std::span(*owner)), owner, "damaged");
    file.verify();
    return BanditPolicy::parse(file, "damaged");
  }
  std::string path_;
};

TEST_P(SavedPolicy, GoesOnBitForBit) {
  const auto unbroken = BanditPolicy::create(GetParam().options);
  play(*unbroken, 100, 1);
  unbroken->save(path_);
  const auto loaded = BanditPolicy::load(path_);
  std::vector<double> expected, found;
  play(*unbroken, 101, 2, &expected);
  play(*loaded, 101, 2, &found);
  EXPECT_EQ(expected, found);
  unbroken->save(path_);
  const std::string one = bytes();
  loaded->save(path_);
  EXPECT_EQ(one, bytes());
}

TEST_P(SavedPolicy, DamageIsAnError) {
  const auto policy = BanditPolicy::create(GetParam().options);
  play(*policy, 20, 1);
  policy->save(path_);
  const std::string whole = bytes();
  for (size_t i = 0; i < whole.size(); i += 7) {
    std::string damaged = whole;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x10);
    EXPECT_THROW(read(damaged), Error) << i;
  }
  EXPECT_EQ(read(whole)->decisions(), policy->decisions());
  std::ofstream(path_, std::ios::binary) << whole.substr(0, whole.size() - 9);
  EXPECT_THROW(BanditPolicy::load(path_), Error);
}

TEST_P(EveryPolicy, LateFeedbackInBatchesIsTheSame) {
  const auto at_once = BanditPolicy::create(GetParam().options), batched = BanditPolicy::create(GetParam().options);
  Rng rng(4);
  std::vector<Request> requests;
  for (int i = 0; i < 40; ++i) requests.emplace_back(GetParam().options, rng);
  std::vector<Feedback> batch;
  for (size_t i = 0; i < requests.size(); ++i) {
    batch.push_back(requests[i].feedback(GetParam().options, i % 4, i % 3 == 0, 0.5));
    at_once->learn(batch.back());
  }
  batched->learn(batch);
  const auto p = at_once->rank_probabilities(requests[0].candidates(), 1, 100),
             q = batched->rank_probabilities(requests[0].candidates(), 1, 100);
  EXPECT_EQ(p, q);
}

TEST_P(EveryPolicy, RefusesWhatDoesNotFit) {
  const auto policy = BanditPolicy::create(GetParam().options);
  Rng rng(4);
  Request request(policy->options(), rng);
  EXPECT_NE(text_of<DataError>([&] { policy->choose({}); }).find("no candidates"), std::string::npos);
  EXPECT_THROW(policy->learn(request.feedback(policy->options(), 0, NAN, 1)), DataError);
  EXPECT_THROW(policy->learn(request.feedback(policy->options(), 0, 1, 0)), DataError);
  if (!request.arms.empty()) {
    request.arms[1] = 4;
    EXPECT_NE(text_of<DataError>([&] { policy->choose(request.candidates()); }).find("arm 4 of 4"), std::string::npos);
  }
}

const auto name_of_case = [](const auto& info) { return info.param.name; };
INSTANTIATE_TEST_SUITE_P(Kinds, EveryPolicy, testing::ValuesIn(cases()), name_of_case);
INSTANTIATE_TEST_SUITE_P(Kinds, SavedPolicy, testing::ValuesIn(cases()), name_of_case);

// Li et al. 2010, algorithm 1 as printed, with inverses.
TEST(LinUcb, ChoosesByTheBoundOfThePaper) {
  BanditOptions o{.kind = BanditKind::LinUcb, .arms = 3, .context_dim = 4, .alpha = 0.8};
  const auto policy = BanditPolicy::create(o);
  std::vector<std::vector<double>> a(3, std::vector<double>(16)), b(3, std::vector<double>(4));
  for (auto& m : a)
    for (size_t i = 0; i < 4; ++i) m[i * 4 + i] = 1;
  Rng rng(6);
  const std::vector<int64_t> arms{0, 1, 2};
  for (int t = 0; t < 200; ++t) {
    const auto x = normals(4, rng);
    size_t best = 0;
    double highest = -1e300;
    for (size_t k = 0; k < 3; ++k) {
      const double p = dot(solve_dense(a[k], b[k]), x) + 0.8 * std::sqrt(dot(x, solve_dense(a[k], x)));
      if (p > highest) highest = p, best = k;
    }
    const Decision d = policy->choose({.arms = arms, .context = x});
    ASSERT_EQ(static_cast<size_t>(d.ranking[0]), best) << t;
    EXPECT_EQ(d.propensity, 1);
    const double reward = x[best] + 0.1 * rng.normal();
    policy->learn(Feedback{static_cast<int64_t>(best), x, {}, reward, 1});
    for (size_t i = 0; i < 4; ++i) {
      b[best][i] += reward * x[i];
      for (size_t j = 0; j < 4; ++j) a[best][i * 4 + j] += x[i] * x[j];
    }
  }
}

TEST(SquareCb, ProbabilitiesAreThePapers) {
  BanditOptions o{.kind = BanditKind::SquareCb, .arms = 3, .gamma = 2};
  const auto policy = BanditPolicy::create(o);
  const std::vector<int64_t> arms{0, 1, 2};
  for (const auto& [arm, reward] : std::vector<std::pair<int64_t, double>>{{0, 1}, {1, 3}, {2, 2}})
    policy->learn(Feedback{arm, {}, {}, reward, 1});  // ridge 1 and one observation: means 0.5, 1.5, 1
  const auto p = policy->rank_probabilities({.arms = arms}, 1, 1);
  const double gamma = 2 * std::sqrt(3.0 * 1);
  EXPECT_NEAR(p[0], 1 / (3 + gamma * 1.0), 1e-14);
  EXPECT_NEAR(p[2], 1 / (3 + gamma * 0.5), 1e-14);
  EXPECT_NEAR(p[1], 1 - p[0] - p[2], 1e-14);
}

TEST(EpsilonGreedy, EpsilonDecays) {
  BanditOptions o{.kind = BanditKind::EpsilonGreedy, .arms = 2, .epsilon = 0.8, .epsilon_decay = 0.5};
  const auto policy = BanditPolicy::create(o);
  const std::vector<int64_t> arms{0, 1};
  EXPECT_NEAR(policy->rank_probabilities({.arms = arms}, 1, 1)[1], 0.4, 1e-15);
  for (int i = 0; i < 15; ++i) policy->choose({.arms = arms});
  EXPECT_NEAR(policy->rank_probabilities({.arms = arms}, 1, 1)[1], 0.8 / 4 / 2, 1e-15);
}

// With a propensity of 1/4, an observation counts four times.
TEST(EpsilonGreedy, ImportanceWeightedRegressionCountsByPropensity) {
  BanditOptions o{.kind = BanditKind::EpsilonGreedy, .arms = 1, .importance_weighted = true};
  const auto weighted = BanditPolicy::create(o);
  o.importance_weighted = false;
  const auto repeated = BanditPolicy::create(o);
  weighted->learn(Feedback{0, {}, {}, 2, 0.25});
  for (int i = 0; i < 4; ++i) repeated->learn(Feedback{0, {}, {}, 2, 0.25});
  const std::string a = (std::filesystem::temp_directory_path() / ("winnow_iw_" + std::to_string(getpid()))).string();
  const auto b_of = [&](const BanditPolicy& p) {
    p.save(a);
    const double b = SafeTensors::open(a).at("arm.b").data<double>()[0];
    std::filesystem::remove(a);
    return b;
  };
  EXPECT_NEAR(b_of(*weighted), 8, 1e-12);
  EXPECT_NEAR(b_of(*repeated), 8, 1e-12);
}

// Draws of the shared weights have the mean and the covariance of the posterior.
TEST(Thompson, SharedDrawsHaveThePosteriorsMoments) {
  LinearModel model(0, 0, 2, 0.5);
  Rng rng(8);
  Cholesky a(2, 0.5);
  std::vector<double> b(2);
  for (int i = 0; i < 20; ++i) {
    const auto z = normals(2, rng);
    const double r = z[0] - 2 * z[1] + rng.normal();
    model.update(-1, {}, z, 1, r);
    a.add(z);
    b[0] += r * z[0], b[1] += r * z[1];
  }
  a.solve(b);
  double mean[2] = {}, second[2][2] = {};
  constexpr int kDraws = 200000;
  for (int i = 0; i < kDraws; ++i) {
    const auto w = model.draw_shared(1.5, rng);
    for (size_t j = 0; j < 2; ++j) {
      mean[j] += w[j] / kDraws;
      for (size_t k = 0; k < 2; ++k) second[j][k] += (w[j] - b[j]) * (w[k] - b[k]) / kDraws;
    }
  }
  for (size_t j = 0; j < 2; ++j) {
    std::vector<double> column{j == 0 ? 1.0 : 0.0, j == 1 ? 1.0 : 0.0};
    a.solve(column);
    EXPECT_NEAR(mean[j], b[j], 0.01);
    for (size_t k = 0; k < 2; ++k) EXPECT_NEAR(second[j][k], 1.5 * 1.5 * column[k], 0.01);
  }
}

// One observation of x = 1 under N(0, 1): the mode solves w = 1 - sigmoid(w); the precision is 1 + s (1 - s).
TEST(ThompsonLogistic, IsLaplacesApproximation) {
  const auto policy = BanditPolicy::create({.kind = BanditKind::ThompsonLogistic, .arms = 1});
  policy->learn(Feedback{0, {}, {}, 1, 1});
  const std::string path =
      (std::filesystem::temp_directory_path() / ("winnow_laplace_" + std::to_string(getpid()))).string();
  policy->save(path);
  const SafeTensors file = SafeTensors::open(path);
  const double l = file.at("arm.factor").data<double>()[0], w = file.at("arm.b").data<double>()[0] / (l * l);
  std::filesystem::remove(path);
  const double s = 1 / (1 + std::exp(-w));
  EXPECT_NEAR(w, 1 - s, 1e-14);
  EXPECT_NEAR(l * l, 1 + s * (1 - s), 1e-14);
}

// One after the other it stays near the mode of all observations at once.
TEST(ThompsonLogistic, SequentialModeIsNearTheBatchMode) {
  BanditOptions o{.kind = BanditKind::ThompsonLogistic, .feature_dim = 3};
  const auto policy = BanditPolicy::create(o);
  Rng rng(11);
  std::vector<std::vector<double>> rows;
  std::vector<double> labels;
  const double truth[] = {1, -0.5, 0.3};
  for (int i = 0; i < 2000; ++i) {
    rows.push_back(normals(3, rng));
    const double eta = truth[0] * rows.back()[0] + truth[1] * rows.back()[1] + truth[2] * rows.back()[2];
    labels.push_back(rng.uniform() < 1 / (1 + std::exp(-eta)) ? 1 : 0);
    policy->learn(Feedback{-1, {}, rows.back(), labels.back(), 1});
  }
  std::vector<double> w(3);
  for (int iteration = 0; iteration < 30; ++iteration) {
    Cholesky h(3, 1);
    std::vector<double> g{-w[0], -w[1], -w[2]};
    for (size_t i = 0; i < rows.size(); ++i) {
      const double s = 1 / (1 + std::exp(-dot(w, rows[i])));
      h.add(rows[i], s * (1 - s));
      for (size_t j = 0; j < 3; ++j) g[j] += (labels[i] - s) * rows[i][j];
    }
    h.solve(g);
    for (size_t j = 0; j < 3; ++j) w[j] += g[j];
  }
  const std::string path =
      (std::filesystem::temp_directory_path() / ("winnow_mode_" + std::to_string(getpid()))).string();
  policy->save(path);
  const SafeTensors file = SafeTensors::open(path);
  const double *factor = file.at("shared.factor").data<double>(), *b = file.at("shared.b").data<double>();
  std::vector<double> mode(b, b + 3);
  Cholesky::from_packed({factor, factor + 6}, 3).solve(mode);
  std::filesystem::remove(path);
  for (size_t j = 0; j < 3; ++j) EXPECT_NEAR(mode[j], w[j], 0.01);  // deviations of the posterior are 0.05
}

TEST(MaxProbability, KnownValues) {
  // scipy.special.betainc
  EXPECT_NEAR(beta_cdf(2, 3, 0.4), 0.5248, 1e-12);
  EXPECT_NEAR(beta_cdf(0.5, 0.5, 0.25), 1.0 / 3, 1e-12);
  EXPECT_NEAR(beta_cdf(1000, 200000, 0.005), 0.5669854237954679, 1e-9);
  const std::vector<double> means{0.3, -0.2}, deviations{1.5, 0.4};
  const double z = 0.5 / std::sqrt(1.5 * 1.5 + 0.4 * 0.4);
  EXPECT_NEAR(normal_max_probability(means, deviations, 0), 0.5 * std::erfc(-z / std::sqrt(2.0)), 1e-8);
  // P(Beta(2, 1) > Beta(1, 1)) = E of Beta(2, 1) = 2/3
  EXPECT_NEAR(beta_max_probability(std::vector<double>{2, 1}, std::vector<double>{1, 1}, 0), 2.0 / 3, 1e-8);
  // equal constants: the first
  EXPECT_EQ(normal_max_probability(std::vector<double>{1, 1}, std::vector<double>{0, 0}, 0), 1);
  EXPECT_EQ(normal_max_probability(std::vector<double>{1, 1}, std::vector<double>{0, 0}, 1), 0);
  Rng rng(3);
  std::vector<double> alphas, betas, m, s;
  for (int i = 0; i < 30; ++i) {
    alphas.push_back(1 + 100 * rng.uniform()), betas.push_back(1 + 20000 * rng.uniform());
    m.push_back(rng.normal()), s.push_back(std::exp(3 * rng.normal()));
  }
  double of_beta = 0, of_normal = 0;
  for (size_t c = 0; c < 30; ++c) {
    of_beta += beta_max_probability(alphas, betas, c);
    of_normal += normal_max_probability(m, s, c);
  }
  EXPECT_NEAR(of_beta, 1, 1e-7);
  EXPECT_NEAR(of_normal, 1, 1e-7);
}

// mpmath with 40 digits: large parameters, and one small beside a large one.
TEST(MaxProbability, LargeAndUnequalParameters) {
  EXPECT_NEAR(beta_cdf(5000, 5000, 0.503), 0.7257436833521133, 1e-9);
  EXPECT_NEAR(beta_cdf(20000, 1e6, 0.0197), 0.7493839954744023, 1e-9);
  EXPECT_NEAR(beta_cdf(1e6, 3e6, 0.2501), 0.6779706661699145, 1e-9);
  EXPECT_NEAR(beta_cdf(1e9, 1e9, 0.50001), 0.814453315231583, 1e-9);
  EXPECT_NEAR(beta_cdf(2.5, 1e7, 2e-7), 0.4505841494303628, 1e-9);
  EXPECT_NEAR(beta_cdf(2.5, 1e7, 5e-7), 0.9247648459407677, 1e-9);
  EXPECT_NEAR(beta_cdf(0.02, 1e6, 1e-8), 0.9221194323824739, 1e-9);
  EXPECT_NEAR(beta_cdf(0.02, 1e6, 3e-6), 0.9997290313358588, 1e-9);
  // by symmetry, and the sum of all, where the rounding of a density about to cancel would be rough
  for (const double n : {1e6, 1e9, 1e12}) {
    EXPECT_NEAR(beta_max_probability(std::vector<double>{n, n}, std::vector<double>{3 * n, 3 * n}, 0), 0.5, 1e-8) << n;
    const std::vector<double> alphas{n, n + 1.5 * std::sqrt(n), n / 1e5}, betas{n, n, n / 1e5};
    double sum = 0;
    for (size_t c = 0; c < 3; ++c) sum += beta_max_probability(alphas, betas, c);
    EXPECT_NEAR(sum, 1, 1e-7) << n;
  }
  const std::vector<double> alphas{kLeastBeta, kMostBeta, 1, kLeastBeta}, betas{kMostBeta, kLeastBeta, 1, kLeastBeta};
  double sum = 0;
  for (size_t c = 0; c < 4; ++c) sum += beta_max_probability(alphas, betas, c);
  EXPECT_NEAR(sum, 1, 1e-6);
}

TEST(Bandit, RefusesBadOptions) {
  const auto refused = [](BanditOptions o) { return text_of<ConfigError>([&] { BanditPolicy::create(o); }); };
  EXPECT_NE(refused({}).find("no arms"), std::string::npos);
  EXPECT_NE(refused({.arms = 2, .ridge = 0}).find("ridge 0 must be positive"), std::string::npos);
  EXPECT_NE(
      refused({.kind = BanditKind::ThompsonBernoulli, .arms = 2, .context_dim = 1}).find("thompson_bernoulli has arms"),
      std::string::npos);
  EXPECT_NE(refused({.kind = BanditKind::Thompson, .arms = 2, .importance_weighted = true})
                .find("importance_weighted is for"),
            std::string::npos);
  EXPECT_NE(text_of<ConfigError>([] { parse_bandit_kind("linucp"); }).find("did you mean 'linucb'"), std::string::npos);
}

// Rewards that are not linear in the inputs, but in what the last layer makes of them.
TEST(NeuralHead, LearnsWhatTheLastLayerSees) {
  Mlp mlp(2, {.hidden_units = {64}});
  mlp.initialize(3);
  NeuralHead head(LastLayer([&](Value x) { return mlp(x, {}); }, 2, mlp.width()),
                  {.kind = BanditKind::Thompson, .scale = 0.1});
  Rng rng(5);
  double early = 0, late = 0;
  constexpr int kRounds = 600;
  for (int t = 0; t < kRounds; ++t) {
    std::vector<double> inputs(2 * 5);
    for (double& v : inputs) v = 4 * rng.uniform() - 2;
    const auto reward = [&](size_t c) { return std::tanh(inputs[2 * c]) * std::tanh(inputs[2 * c + 1]); };
    double best = -2;
    for (size_t c = 0; c < 5; ++c) best = std::max(best, reward(c));
    const Decision d = head.choose(inputs);
    const auto c = static_cast<size_t>(d.ranking[0]);
    head.learn(std::span(inputs).subspan(2 * c, 2), reward(c), d.propensity);
    (t < 100 ? early : t >= kRounds - 100 ? late : best) += best - reward(c);
  }
  EXPECT_LT(late, 0.5 * early);
  EXPECT_EQ(head.policy().options().feature_dim, 65);
  head.reset();
  EXPECT_EQ(head.policy().decisions(), 0u);
}

}  // namespace
}  // namespace winnow
