#include "serve/bandits/simulate.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <limits>
#include <numeric>

#include "core/error.h"
#include "core/rng.h"
#include "serve/bandits/cholesky.h"

namespace winnow {
namespace {

constexpr uint64_t kWorldSeed = 0x776f726c64000000, kWeights = uint64_t{1} << 62;

// What is drawn once, and each round anew.
class World {
 public:
  explicit World(const SimulationOptions& o)
      : o_(o),
        n_(o.policy.arms > 0 ? o.policy.arms : o.candidates),
        d_(o.policy.context_dim),
        k_(o.policy.feature_dim) {
    Rng rng(o.world_seed ^ kWorldSeed, kWeights);
    theta_.resize(static_cast<size_t>(n_ * d_)), beta_.resize(static_cast<size_t>(k_)),
        rate_.resize(static_cast<size_t>(n_));
    for (auto* weights : {&theta_, &beta_})
      for (double& v : *weights) v = rng.normal();
    for (size_t c = 0; c < rate_.size(); ++c)
      rate_[c] = n_ == 1 ? 0.5 : 0.1 + 0.8 * static_cast<double>(c) / static_cast<double>(n_ - 1);
    rng.shuffle(rate_);
    for (int64_t a = 0; a < o.policy.arms; ++a) arms_.push_back(a);
    context.resize(static_cast<size_t>(d_)), features.resize(static_cast<size_t>(n_ * k_)),
        means.resize(static_cast<size_t>(n_));
  }

  void draw(int64_t round) {
    Rng rng(o_.seed ^ kWorldSeed, static_cast<uint64_t>(round));
    for (double& v : context) v = rng.normal() / std::sqrt(static_cast<double>(d_));
    for (double& v : features) v = rng.normal() / std::sqrt(static_cast<double>(k_));
    for (size_t c = 0; c < means.size(); ++c) {
      const auto d = static_cast<size_t>(d_), k = static_cast<size_t>(k_);
      const double m =
          dot(std::span(theta_).subspan(c * d, d), context) + dot(std::span(features).subspan(c * k, k), beta_);
      means[c] = o_.world == BanditWorld::Linear     ? m
                 : o_.world == BanditWorld::Logistic ? 1 / (1 + std::exp(-2 * m))
                                                     : rate_[c];
    }
    luck_ = o_.world == BanditWorld::Linear ? rng.normal() : rng.uniform();
  }
  double reward(size_t c) const {
    if (o_.world == BanditWorld::Linear) return means[c] + luck_;
    return luck_ < means[c] ? 1 : 0;
  }
  Candidates candidates() const { return {.arms = arms_, .context = context, .features = features}; }

  std::vector<double> context, features, means;  // of the round

 private:
  const SimulationOptions& o_;
  int64_t n_, d_, k_;
  std::vector<int64_t> arms_;
  std::vector<double> theta_, beta_, rate_;
  double luck_ = 0;
};

// Feedback that has not come yet.
struct Pending {
  int64_t arm;
  std::vector<double> context, features;
  double reward, propensity;
};

void learn_first(std::deque<Pending>& pending, size_t count, BanditPolicy& policy) {
  std::vector<Feedback> batch;
  for (size_t i = 0; i < count; ++i) {
    const Pending& p = pending[i];
    batch.push_back({p.arm, p.context, p.features, p.reward, p.propensity});
  }
  policy.learn(batch);
  pending.erase(pending.begin(), pending.begin() + static_cast<ptrdiff_t>(count));
}

std::vector<int64_t> curve_rounds(int64_t rounds, int64_t points) {
  std::vector<int64_t> out;
  for (int64_t i = 1; i <= points; ++i) {
    const double share = static_cast<double>(i) / static_cast<double>(points);
    const auto round = std::clamp<int64_t>(std::llround(std::pow(static_cast<double>(rounds), share)), 1, rounds);
    if (out.empty() || round > out.back()) out.push_back(round);
  }
  return out;
}

void check_simulation(const SimulationOptions& o) {
  WN_CHECK(o.rounds >= 1 && o.rounds < int64_t{1} << 40, ConfigError, "bandit simulation: {} rounds", o.rounds);
  WN_CHECK(o.delay >= 0 && o.batch >= 1 && o.points >= 1, ConfigError,
           "bandit simulation: delay {}, batch {}, points {}", o.delay, o.batch, o.points);
  WN_CHECK(o.policy.arms > 0 || o.candidates > 0, ConfigError, "bandit simulation: no candidates");
  WN_CHECK(o.world == BanditWorld::Bernoulli || o.policy.context_dim + o.policy.feature_dim > 0, ConfigError,
           "bandit simulation: a world without context or features is bernoulli");
}

}  // namespace

SimulationResult simulate_bandit(const SimulationOptions& options, const RoundListener& listener) {
  check_simulation(options);
  SimulationResult result;
  result.policy = BanditPolicy::create(options.policy);
  World world(options);
  const bool weighs = options.policy.importance_weighted;
  std::deque<Pending> pending;
  const std::vector<int64_t> rounds = curve_rounds(options.rounds, options.points);
  RegretPoint sum;
  for (int64_t round = 1; round <= options.rounds; ++round) {
    world.draw(round);
    const Decision decision = result.policy->choose(world.candidates(), 1, weighs || listener != nullptr);
    const auto c = static_cast<size_t>(decision.ranking[0]);
    const double best = *std::ranges::max_element(world.means);
    const double mean =
        std::accumulate(world.means.begin(), world.means.end(), 0.0) / static_cast<double>(world.means.size());
    result.reward += world.means[c], result.random_reward += mean, result.oracle_reward += best;
    sum.round = round, sum.regret += best - world.means[c], sum.random += best - mean;
    if (rounds[result.curve.size()] == round) result.curve.push_back(sum);
    const auto k = static_cast<size_t>(options.policy.feature_dim);
    const auto features = std::span(world.features).subspan(c * k, k);
    const int64_t arm = options.policy.arms > 0 ? static_cast<int64_t>(c) : -1;
    const double reward = world.reward(c);
    if (listener) listener(world.context, arm, reward, decision.propensity);
    pending.push_back({arm,
                       world.context,
                       {features.begin(), features.end()},
                       reward,
                       std::isnan(decision.propensity) ? 1 : decision.propensity});
    if (static_cast<int64_t>(pending.size()) >= options.delay + options.batch)
      learn_first(pending, static_cast<size_t>(options.batch), *result.policy);
  }
  learn_first(pending, pending.size(), *result.policy);
  return result;
}

double regret_exponent(const std::vector<RegretPoint>& curve, int64_t first) {
  double n = 0, x = 0, y = 0, xx = 0, xy = 0;
  for (const RegretPoint& p : curve) {
    if (p.round < first || !(p.regret > 0)) continue;
    const double u = std::log(static_cast<double>(p.round)), v = std::log(p.regret);
    n += 1, x += u, y += v, xx += u * u, xy += u * v;
  }
  return n < 3 ? std::numeric_limits<double>::quiet_NaN() : (n * xy - x * y) / (n * xx - x * x);
}

}  // namespace winnow
