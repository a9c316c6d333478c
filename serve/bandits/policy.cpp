#include "serve/bandits/policy.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/text.h"
#include "serve/bandits/bandits.h"
#include "serve/bandits/max_probability.h"

namespace winnow {
namespace {

// Apart from the streams of folds, resamples and simulated worlds of the same seed.
constexpr uint64_t kDecisionSeed = 0x62616e6469747331, kRankSeed = 0x62616e6469747332;
constexpr int64_t kMostArms = int64_t{1} << 20, kMostDim = 4096, kMostNumbers = int64_t{1} << 28;

struct KindName {
  BanditKind kind;
  const char* name;
};
constexpr KindName kKinds[] = {{BanditKind::EpsilonGreedy, "epsilon_greedy"},
                               {BanditKind::LinUcb, "linucb"},
                               {BanditKind::Thompson, "thompson"},
                               {BanditKind::ThompsonBernoulli, "thompson_bernoulli"},
                               {BanditKind::ThompsonLogistic, "thompson_logistic"},
                               {BanditKind::SquareCb, "squarecb"}};

void check_numbers(std::span<const double> values, int64_t size, const char* what) {
  WN_CHECK(static_cast<int64_t>(values.size()) == size, DataError, "bandit: {} {}, expected {}", values.size(), what,
           size);
  for (const double v : values) WN_CHECK(std::isfinite(v), DataError, "bandit: one of the {} is {}", what, v);
}

void check_sizes(const BanditOptions& o) {
  WN_CHECK(o.arms >= 0 && o.arms <= kMostArms, ConfigError, "bandit: {} arms; the limit is {}", o.arms, kMostArms);
  WN_CHECK(o.context_dim >= 0 && o.context_dim <= kMostDim && o.feature_dim >= 0 && o.feature_dim <= kMostDim,
           ConfigError, "bandit: context_dim {} and feature_dim {} must lie in 0..{}", o.context_dim, o.feature_dim,
           kMostDim);
  WN_CHECK(o.arms > 0 || (o.feature_dim > 0 && o.context_dim == 0), ConfigError,
           "bandit: no arms; a context needs arms, candidates without arms need features");
  const int64_t d = std::max<int64_t>(o.context_dim, 1);
  WN_CHECK(o.arms * (d * (d + 1) / 2 + d * o.feature_dim) <= kMostNumbers, ConfigError,
           "bandit: {} arms of context_dim {} and feature_dim {} hold over {} numbers; use shared features", o.arms,
           o.context_dim, o.feature_dim, kMostNumbers);
}

}  // namespace

const char* name_of(BanditKind kind) {
  for (const KindName& k : kKinds)
    if (k.kind == kind) return k.name;
  return "?";
}

const std::vector<std::string>& bandit_kinds() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> out;
    for (const KindName& k : kKinds) out.emplace_back(k.name);
    return out;
  }();
  return names;
}

BanditKind parse_bandit_kind(const std::string& name) {
  for (const KindName& k : kKinds)
    if (name == k.name) return k.kind;
  raise<ConfigError>("unknown policy {}{}; there are {}", quoted(name), did_you_mean(name, bandit_kinds()),
                     fmt::join(bandit_kinds(), ", "));
}

void check_bandit_options(const BanditOptions& o) {
  check_sizes(o);
  const auto positive = [](double v, const char* name) {
    WN_CHECK(v > 0 && std::isfinite(v), ConfigError, "bandit: {} {} must be positive", name, v);
  };
  positive(o.ridge, "ridge"), positive(o.scale, "scale"), positive(o.gamma, "gamma");
  for (const double prior : {o.prior_alpha, o.prior_beta})
    WN_CHECK(prior >= kLeastBeta && prior <= kMostBeta, ConfigError,
             "bandit: prior_alpha {} and prior_beta {} must lie in [{}, {}]", o.prior_alpha, o.prior_beta, kLeastBeta,
             kMostBeta);
  WN_CHECK(o.alpha >= 0 && std::isfinite(o.alpha), ConfigError, "bandit: alpha {} must not be negative", o.alpha);
  WN_CHECK(o.epsilon >= 0 && o.epsilon <= 1, ConfigError, "bandit: epsilon {} must lie in [0, 1]", o.epsilon);
  WN_CHECK(o.epsilon_decay >= 0 && std::isfinite(o.epsilon_decay), ConfigError,
           "bandit: epsilon_decay {} must not be negative", o.epsilon_decay);
  WN_CHECK(o.draws >= 1 && o.draws <= 100'000'000, ConfigError, "bandit: {} draws must lie in 1..1e8", o.draws);
  WN_CHECK(o.kind != BanditKind::ThompsonBernoulli || (o.context_dim == 0 && o.feature_dim == 0), ConfigError,
           "bandit: thompson_bernoulli has arms alone, no context_dim or feature_dim; use thompson_logistic");
  WN_CHECK(!o.importance_weighted || o.kind == BanditKind::EpsilonGreedy || o.kind == BanditKind::SquareCb, ConfigError,
           "bandit: importance_weighted is for epsilon_greedy and squarecb, not for {}", name_of(o.kind));
}

std::unique_ptr<BanditPolicy> BanditPolicy::create(const BanditOptions& options) {
  check_bandit_options(options);
  if (options.kind == BanditKind::ThompsonBernoulli) return std::make_unique<BernoulliBandit>(options);
  return std::make_unique<LinearBandit>(options);
}

int64_t BanditPolicy::check(const Candidates& candidates) const {
  const BanditOptions& o = options_;
  const auto n = o.arms > 0 ? static_cast<int64_t>(candidates.arms.size())
                            : static_cast<int64_t>(candidates.features.size()) / o.feature_dim;
  WN_CHECK(n > 0, DataError, "bandit: no candidates");
  WN_CHECK(o.arms > 0 || candidates.arms.empty(), DataError, "bandit: candidates have arms, the policy has none");
  check_numbers(candidates.context, o.context_dim, "numbers of the context");
  check_numbers(candidates.features, n * o.feature_dim, "numbers of the candidates' features");
  for (const int64_t arm : candidates.arms)
    WN_CHECK(arm >= 0 && arm < o.arms, DataError, "bandit: arm {} of {}", arm, o.arms);
  return n;
}

Decision BanditPolicy::choose(const Candidates& candidates, int64_t count, bool propensity) {
  const int64_t n = check(candidates);
  WN_CHECK(count > 0, DataError, "bandit: a list of {}", count);
  Rng rng(options_.seed ^ kDecisionSeed, decisions_);
  Decision out{.ranking = rank(candidates, n, count, rng), .propensity = std::numeric_limits<double>::quiet_NaN()};
  const int32_t first = out.ranking[0];
  if (propensity && is_exact()) {
    out.propensity = exact_probability(candidates, n, first);
  } else if (propensity) {
    int64_t hits = 0;
    for (int64_t i = 0; i < options_.draws; ++i) hits += rank(candidates, n, 1, rng)[0] == first;
    out.propensity = static_cast<double>(1 + hits) / static_cast<double>(1 + options_.draws);
  }
  ++decisions_;
  return out;
}

std::vector<double> BanditPolicy::rank_probabilities(const Candidates& candidates, int64_t depth, int64_t draws) const {
  const int64_t n = check(candidates);
  WN_CHECK(depth > 0 && depth <= n, DataError, "bandit: {} ranks of {} candidates", depth, n);
  WN_CHECK(draws > 0, DataError, "bandit: {} draws", draws);
  std::vector<double> out(static_cast<size_t>(depth * n));
  if (depth > 1 || !is_exact()) {
    Rng rng(options_.seed ^ kRankSeed, decisions_);
    for (int64_t i = 0; i < draws; ++i) {
      const std::vector<int32_t> ranking = rank(candidates, n, depth, rng);
      for (size_t r = 0; r < ranking.size(); ++r)
        out[r * static_cast<size_t>(n) + static_cast<size_t>(ranking[r])] += 1;
    }
    for (double& p : out) p /= static_cast<double>(draws);
  }
  if (is_exact()) std::ranges::copy(exact_probabilities(candidates, n), out.begin());
  return out;
}

void BanditPolicy::learn(std::span<const Feedback> batch) {
  const BanditOptions& o = options_;
  for (const Feedback& f : batch) {
    WN_CHECK(o.arms > 0 ? f.arm >= 0 && f.arm < o.arms : f.arm == -1, DataError, "bandit: feedback for arm {} of {}",
             f.arm, o.arms);
    check_numbers(f.context, o.context_dim, "numbers of the context");
    check_numbers(f.features, o.feature_dim, "numbers of the candidate's features");
    WN_CHECK(std::isfinite(f.reward), DataError, "bandit: reward {}", f.reward);
    WN_CHECK(o.kind != BanditKind::ThompsonBernoulli || (f.reward >= 0 && f.reward <= 1), DataError,
             "bandit: reward {}; thompson_bernoulli takes rewards in [0, 1]", f.reward);
    WN_CHECK(o.kind != BanditKind::ThompsonLogistic || f.reward == 0 || f.reward == 1, DataError,
             "bandit: reward {}; thompson_logistic takes 0 and 1", f.reward);
    WN_CHECK(f.propensity > 0 && f.propensity <= 1, DataError, "bandit: propensity {} is not in (0, 1]", f.propensity);
  }
  for (const Feedback& f : batch) update(f);
}

}  // namespace winnow
