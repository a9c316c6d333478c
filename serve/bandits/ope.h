// Off-policy evaluation: what a policy pi would have earned, from a log of another one. With w_i = pi(a_i | x_i) / p_i,
// q the reward model, d_i = sum_a pi(a | x_i) q(x_i, a), and means over the n rows:
//   ips      mean(w r)                                        Horvitz and Thompson 1952; unbiased
//   snips    sum(w r) / sum(w)                                Swaminathan and Joachims 2015
//   clipped  mean(min(w, M) r), M = sqrt(n) unless given      Ionides 2008
//   dm       mean(d)                                          the direct method: as good as the reward model
//   dr       mean(d + w (r - q(x, a)))                        Dudik, Langford and Li 2011; unbiased
//   switch   mean(d + w (r - q(x, a)) [w <= tau])             Wang, Agarwal and Dudik 2017, with DR below tau;
//                                                             tau = sqrt(n) unless given
// Wang et al. choose tau by a bound that takes the logging propensities of all actions, which a log does not have;
// chosen by an estimate of the bias from the same rewards, intervals held the truth in .78 of the logs of
// tests/ope_test.cpp. So tau does not look at the rewards.
//
// Two 95 % intervals each: normal (estimate +- 1.96 standard errors; the delta method for snips and for the fit of dm's
// model) and percentile bootstrap of rows. The reward model, M and tau stay as they are in every resample.
#pragma once
#include <string>
#include <vector>

#include "core/bootstrap.h"
#include "serve/bandits/logged.h"
#include "serve/bandits/reward_model.h"

namespace winnow {

struct OpeOptions {
  std::vector<std::string> estimators = {"ips", "snips", "clipped", "dm", "dr", "switch"};
  RewardModelOptions model;
  double clip = 0;              // M; 0: sqrt(n)
  double switch_threshold = 0;  // tau; 0: sqrt(n)
  BootstrapOptions bootstrap;
};

struct OpeEstimate {
  std::string name;
  double value = 0, standard_error = 0;
  Interval normal{}, bootstrap{};
};

struct OpeReport {
  std::vector<OpeEstimate> estimates = {};
  OpeEstimate logged = {};  // the mean reward in the log: what the logging policy earned
  int64_t rows = 0, actions = 0, positions = 1;
  double effective_sample_size = 0;  // (sum w)^2 / sum w^2
  double mean_weight = 0, largest_weight = 0;
  double clip = 0, switch_threshold = 0;
  std::string reward_model = {};           // logistic, ridge, or "" where no estimator needs one
  std::vector<std::string> warnings = {};  // overlap, propensities of 0, weights that cannot be right

  std::string str() const;
  std::string json() const;
};

// ConfigError: an unknown estimator, M or tau below 0. DataError: no rows, a broken log (LoggedBandit::check()).
OpeReport evaluate_policy(const LoggedBandit& log, const OpeOptions& options);

}  // namespace winnow
