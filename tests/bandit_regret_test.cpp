// serve/bandits/simulate.h: regret grows as theory says.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "serve/bandits/simulate.h"
#include "tests/error_text.h"

namespace winnow {
namespace {

SimulationOptions world(BanditKind kind, int64_t arms, int64_t dim, int64_t rounds, uint64_t seed) {
  SimulationOptions o;
  o.policy.kind = kind;
  o.policy.arms = arms, o.policy.context_dim = dim;
  o.rounds = rounds;
  o.seed = o.world_seed = o.policy.seed = seed;
  return o;
}

// Mean curve over seeds.
std::vector<RegretPoint> mean_curve(SimulationOptions o, int seeds) {
  std::vector<RegretPoint> mean;
  for (int s = 0; s < seeds; ++s) {
    o.seed = o.world_seed = o.policy.seed = static_cast<uint64_t>(s + 1);
    const auto curve = simulate_bandit(o).curve;
    if (mean.empty()) mean.resize(curve.size());
    for (size_t i = 0; i < curve.size(); ++i) {
      mean[i].round = curve[i].round;
      mean[i].regret += curve[i].regret / seeds, mean[i].random += curve[i].random / seeds;
    }
  }
  return mean;
}

// A minimax instance would show sqrt(T); on contexts with a margin LinUCB does better, never worse. Abbasi-Yadkori, Pal
// and Szepesvari 2011: O(d sqrt(T) log T).
TEST(Regret, LinUcbGrowsNoFasterThanTheSquareRoot) {
  const auto curve = mean_curve(world(BanditKind::LinUcb, 5, 4, 10000, 1), 6);
  const double exponent = regret_exponent(curve, 1000);
  std::printf("linucb: exponent %.3f, regret %.0f, random %.0f\n", exponent, curve.back().regret, curve.back().random);
  EXPECT_LT(exponent, 0.55);
  EXPECT_GT(exponent, 0.1);
  EXPECT_LT(curve.back().regret, 0.1 * curve.back().random);
  EXPECT_LT(curve.back().regret, 4 * std::sqrt(10000.0));
}

// gamma_t = sqrt(n t) explores by design at a rate of sqrt(n / t) a round.
TEST(Regret, SquareCbGrowsAsTheSquareRoot) {
  const auto curve = mean_curve(world(BanditKind::SquareCb, 5, 4, 30000, 1), 4);
  const double exponent = regret_exponent(curve, 3000);
  std::printf("squarecb: exponent %.3f, regret %.0f, random %.0f\n", exponent, curve.back().regret,
              curve.back().random);
  EXPECT_NEAR(exponent, 0.5, 0.1);
  EXPECT_LT(curve.back().regret, 0.25 * curve.back().random);
}

// A uniform choice in round t with probability (1 + t)^-decay costs a uniform choice's regret that often: T^(1 -
// decay). With a decay of 0 regret is linear, and regret_exponent() says so.
TEST(Regret, EpsilonGreedyPaysForItsExploration) {
  for (const double decay : {0.0, 0.25, 1.0 / 3, 0.5}) {
    SimulationOptions o = world(BanditKind::EpsilonGreedy, 5, 4, 30000, 1);
    o.policy.epsilon = 1, o.policy.epsilon_decay = decay;
    const auto curve = mean_curve(o, 4);
    const auto middle = *std::ranges::find_if(curve, [](const RegretPoint& p) { return p.round >= 3000; });
    double explored = 0;
    for (int64_t t = middle.round; t < o.rounds; ++t)
      explored += o.policy.epsilon * std::pow(1 + static_cast<double>(t), -decay);
    const double a_choice = curve.back().random / static_cast<double>(o.rounds);
    const double paid = (curve.back().regret - middle.regret) / (explored * a_choice);
    const double exponent = regret_exponent(curve, 3000);
    std::printf("epsilon_greedy: decay %.2f, exponent %.3f, growth %.3f of theory's\n", decay, exponent, paid);
    EXPECT_GT(paid, 0.95);
    EXPECT_LT(paid, 1.2) << "beyond the exploration, the mistakes of the estimates";
    EXPECT_NEAR(exponent, 1 - decay, 0.1);
  }
}

// Lai and Robbins 1985; Kaufmann, Korda and Munos 2012: regret / log T tends to sum_a (p* - p_a) / KL(p_a, p*), 3.12
// for rates of 0.1, 0.3, ..., 0.9. So between T / 10 and T it grows by about that times log 10.
TEST(Regret, BernoulliThompsonGrowsAsTheLogarithm) {
  SimulationOptions o = world(BanditKind::ThompsonBernoulli, 5, 0, 30000, 1);
  o.world = BanditWorld::Bernoulli;
  double constant = 0;
  for (const double p : {0.1, 0.3, 0.5, 0.7})
    constant += (0.9 - p) / (p * std::log(p / 0.9) + (1 - p) * std::log((1 - p) / 0.1));
  const auto curve = mean_curve(o, 40);
  const auto middle = *std::ranges::find_if(curve, [](const RegretPoint& p) { return p.round >= 3000; });
  const double growth = (curve.back().regret - middle.regret) / std::log(30000.0 / static_cast<double>(middle.round));
  const double exponent = regret_exponent(curve, 3000);
  std::printf("thompson_bernoulli: exponent %.3f, regret %.1f, growth a unit of log T %.2f, theory %.2f\n", exponent,
              curve.back().regret, growth, constant);
  EXPECT_LT(exponent, 0.25);
  EXPECT_NEAR(growth, constant, 0.5 * constant);
}

TEST(Regret, EveryPolicyBeatsRandom) {
  for (const std::string& kind : bandit_kinds())
    for (const bool shared : {false, true}) {
      SimulationOptions o = world(parse_bandit_kind(kind), 5, 4, 3000, 2);
      if (kind == "thompson_bernoulli") o.policy.context_dim = 0;
      if (shared && kind == "thompson_bernoulli") continue;
      if (shared) o.policy.arms = 0, o.candidates = 5, o.policy.context_dim = 0, o.policy.feature_dim = 4;
      o.world = kind == "thompson_logistic"    ? BanditWorld::Logistic
                : kind == "thompson_bernoulli" ? BanditWorld::Bernoulli
                                               : BanditWorld::Linear;
      const SimulationResult r = simulate_bandit(o);
      EXPECT_LT(r.curve.back().regret, 0.4 * r.curve.back().random) << kind << (shared ? " shared" : "");
      EXPECT_NEAR(r.oracle_reward - r.reward, r.curve.back().regret, 1e-6);
    }
}

TEST(Regret, DelayedFeedbackIsLearntToo) {
  SimulationOptions o = world(BanditKind::LinUcb, 4, 3, 3000, 3);
  const double prompt = simulate_bandit(o).curve.back().regret;
  o.delay = 200, o.batch = 50;
  const SimulationResult late = simulate_bandit(o);
  EXPECT_GT(late.curve.back().regret, prompt);
  EXPECT_LT(late.curve.back().regret, 0.3 * late.curve.back().random);
}

// A logged propensity is what the policy said, and rewards average to what they should.
TEST(Simulation, LogsEachRound) {
  SimulationOptions o = world(BanditKind::EpsilonGreedy, 3, 2, 4000, 3);
  o.policy.epsilon = 0.6;
  int rows = 0;
  double inverse = 0;
  simulate_bandit(o, [&](std::span<const double> context, int64_t arm, double, double propensity) {
    EXPECT_EQ(context.size(), 2u);
    EXPECT_TRUE(arm >= 0 && arm < 3);
    EXPECT_TRUE(std::abs(propensity - 0.2) < 1e-12 || std::abs(propensity - 0.6) < 1e-12) << propensity;
    ++rows, inverse += 1 / propensity;
  });
  EXPECT_EQ(rows, 4000);
  EXPECT_NEAR(inverse / rows, 3, 0.15);  // E[1 / p] is the number of arms
}

TEST(Simulation, RefusesImpossibleWorlds) {
  SimulationOptions o = world(BanditKind::LinUcb, 3, 0, 10, 1);
  EXPECT_NE(text_of<ConfigError>([&] { simulate_bandit(o); }).find("is bernoulli"), std::string::npos);
  o.world = BanditWorld::Bernoulli, o.rounds = 0;
  EXPECT_NE(text_of<ConfigError>([&] { simulate_bandit(o); }).find("0 rounds"), std::string::npos);
}

}  // namespace
}  // namespace winnow
