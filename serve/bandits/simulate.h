// Bandits against simulated worlds whose best choice is known. Each round has a context x and features z_c of its
// candidates, drawn from N(0, I / dim); m_c = x^T theta_c + z_c^T beta over the parts that the policy has, weights
// drawn once from N(0, I).
//   linear     reward m_c + noise N(0, 1)
//   logistic   reward 1 with probability sigmoid(2 m_c)
//   bernoulli  reward 1 with probability p_c, whatever the context: evenly spaced from 0.1
//              to 0.9, in an order drawn once
// Regret: the sum over rounds of best expected reward - that of the choice. What a round draws depends on (seed, round)
// alone, so that policies meet the same rounds.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "serve/bandits/policy.h"

namespace winnow {

enum class BanditWorld : uint8_t { Linear, Logistic, Bernoulli };

struct SimulationOptions {
  BanditOptions policy;  // its arms, context_dim and feature_dim are the world's; arms 0: `candidates` a round
  BanditWorld world = BanditWorld::Linear;
  int64_t candidates = 0;
  int64_t rounds = 10000;
  // Feedback comes `delay` rounds later, and is learnt `batch` at a time.
  int64_t delay = 0, batch = 1;
  int64_t points = 60;      // of the curve, evenly spaced in log(round)
  uint64_t seed = 1;        // of the rounds
  uint64_t world_seed = 1;  // of the weights
};

struct RegretPoint {
  int64_t round = 0;
  double regret = 0, random = 0;  // sums up to here; random: the expectation of a uniform choice
};

struct SimulationResult {
  std::vector<RegretPoint> curve;
  double reward = 0, random_reward = 0, oracle_reward = 0;  // expected, summed over the rounds
  std::unique_ptr<BanditPolicy> policy;                     // as it is in the end, all feedback learnt
};

// A round as it would be logged.
using RoundListener =
    std::function<void(std::span<const double> context, int64_t arm, double reward, double propensity)>;

// Propensities are computed where there is a listener. ConfigError: rounds, delay, batch or points out of range.
SimulationResult simulate_bandit(const SimulationOptions& options, const RoundListener& listener = {});

// The slope of log(regret) over log(round) by least squares, from `first` rounds on: 1/2 where regret grows as sqrt(T),
// towards 0 where it grows as log(T). NaN with fewer than three points of positive regret.
double regret_exponent(const std::vector<RegretPoint>& curve, int64_t first);

}  // namespace winnow
