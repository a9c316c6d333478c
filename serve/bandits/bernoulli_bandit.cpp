#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "serve/bandits/bandits.h"
#include "serve/bandits/max_probability.h"
#include "serve/bandits/state.h"

namespace winnow {
namespace {

// log of a Gamma(shape, 1) variable (Marsaglia and Tsang 2000; below 1 by U^(1 / shape), which underflows as itself).
double log_gamma_draw(double shape, Rng& rng) {
  if (shape < 1) return log_gamma_draw(shape + 1, rng) + std::log(rng.uniform()) / shape;
  const double d = shape - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  while (true) {
    const double x = rng.normal(), root = 1 + c * x;
    if (root <= 0) continue;
    const double v = root * root * root;
    if (std::log(rng.uniform()) < 0.5 * x * x + d - d * v + d * std::log(v)) return std::log(d * v);
  }
}

}  // namespace

BernoulliBandit::BernoulliBandit(const BanditOptions& options)
    : BanditPolicy(options),
      alpha_(static_cast<size_t>(options.arms), options.prior_alpha),
      beta_(static_cast<size_t>(options.arms), options.prior_beta) {}

// The logit of a Beta variable is the difference of the logs of two Gamma ones: its order is that of the variables, and
// it does not round to 0 or 1.
std::vector<int32_t> BernoulliBandit::rank(const Candidates& candidates, int64_t, int64_t count, Rng& rng) const {
  std::vector<double> draws;
  for (const int64_t arm : candidates.arms) {
    const auto a = static_cast<size_t>(arm);
    const double successes = log_gamma_draw(alpha_[a], rng);
    draws.push_back(successes - log_gamma_draw(beta_[a], rng));
  }
  return best_first(draws, count);
}

void BernoulliBandit::parameters(const Candidates& candidates, std::vector<double>& alphas,
                                 std::vector<double>& betas) const {
  for (const int64_t arm : candidates.arms) {
    alphas.push_back(alpha_[static_cast<size_t>(arm)]);
    betas.push_back(beta_[static_cast<size_t>(arm)]);
  }
}

double BernoulliBandit::exact_probability(const Candidates& candidates, int64_t, int64_t first) const {
  std::vector<double> alphas, betas;
  parameters(candidates, alphas, betas);
  return beta_max_probability(alphas, betas, static_cast<size_t>(first));
}

std::vector<double> BernoulliBandit::exact_probabilities(const Candidates& candidates, int64_t n) const {
  std::vector<double> alphas, betas, p(static_cast<size_t>(n));
  parameters(candidates, alphas, betas);
  for (size_t c = 0; c < p.size(); ++c) p[c] = beta_max_probability(alphas, betas, c);
  return p;
}

void BernoulliBandit::update(const Feedback& feedback) {
  const auto a = static_cast<size_t>(feedback.arm);
  alpha_[a] += feedback.reward;
  beta_[a] += 1 - feedback.reward;
}

std::vector<NamedTensor> BernoulliBandit::state() const {
  return {bandit_tensor("alpha", {options_.arms}, alpha_), bandit_tensor("beta", {options_.arms}, beta_)};
}

void BernoulliBandit::restore(const SafeTensors& file, const std::string& source) {
  alpha_ = bandit_numbers(file, source, "alpha", {options_.arms});
  beta_ = bandit_numbers(file, source, "beta", {options_.arms});
  for (const auto* v : {&alpha_, &beta_})
    WN_CHECK(std::ranges::all_of(*v, [](double x) { return x >= kLeastBeta && x <= kMostBeta; }), DataError,
             "{}: a parameter of a Beta distribution is not in [{}, {}]", source, kLeastBeta, kMostBeta);
}

}  // namespace winnow
