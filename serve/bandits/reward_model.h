// q(x, a) = E[reward | x, a], fitted to a log for the direct method and the doubly robust estimators: a regression on
// [1, x, features of a], one for each position; logistic by Newton's method, or ridge. The intercept is not penalised.
//   logistic: min_theta sum_i log(1 + exp(-y_i eta_i)) + l2 / 2 |theta|^2, y = +-1     ridge: sum (r - eta)^2 + l2
//   |theta|^2
// Cross-fitted (Chernozhukov et al. 2018): the rows of each fold are predicted by the model of the others.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "serve/bandits/logged.h"

namespace winnow {

struct RewardModelOptions {
  enum Kind : uint8_t { Auto, Logistic, Ridge } kind = Auto;  // Auto: logistic when every reward is 0 or 1
  double l2 = 1;
  int folds = 3;  // where the log has none; 1: every row is predicted by a model that saw it
  uint64_t seed = 1;
};

struct RewardPredictions {
  RewardModelOptions::Kind kind = RewardModelOptions::Ridge;  // what was fitted
  std::vector<double> direct;                                 // [rows] sum_a pi(a | x_i) q(x_i, a)
  std::vector<double> logged;                                 // [rows] q(x_i, a_i)
  // [rows] n times the first-order change of mean(direct) with the weight of a training row, centred: to first order
  // var(direct + influence) / n is the variance of the direct method with that of its fit (delta method; the bias of a
  // model that does not hold is not in it).
  std::vector<double> influence;
};

// ConfigError: l2 <= 0, folds < 1, over 4000 parameters; logistic for rewards other than 0 and 1. DataError: a position
// with fewer than 2 rows a fold, or with fewer than 2 outside of a fold that the log gives.
RewardPredictions fit_reward_model(const LoggedBandit& log, const RewardModelOptions& options);

}  // namespace winnow
