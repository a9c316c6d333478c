#include "serve/api/list_policy.h"

#include <cmath>

#include "core/error.h"
#include "core/file.h"

namespace winnow {

ListPolicyOptions read_list_policy(const ConfigNode& policy) {
  ListPolicyOptions o;
  o.bandit.kind = parse_bandit_kind(policy.choice(
      "kind", "epsilon_greedy", {"epsilon_greedy", "linucb", "thompson", "thompson_logistic", "squarecb"}));
  o.among = policy.get("among", o.among, between(2, 1000));
  o.window = std::chrono::seconds(policy.get("window", int64_t{600}, between(1, 86400)));
  o.bandit.ridge = policy.get("ridge", o.bandit.ridge, more_than(0));
  o.bandit.seed = policy.get("seed", o.bandit.seed);
  switch (o.bandit.kind) {
    case BanditKind::EpsilonGreedy:
      o.bandit.epsilon = policy.get("epsilon", o.bandit.epsilon, between(0, 1));
      o.bandit.epsilon_decay = policy.get("epsilon_decay", o.bandit.epsilon_decay, at_least(0));
      break;
    case BanditKind::LinUcb: o.bandit.alpha = policy.get("alpha", o.bandit.alpha, at_least(0)); break;
    case BanditKind::SquareCb: o.bandit.gamma = policy.get("gamma", o.bandit.gamma, more_than(0)); break;
    default: o.bandit.scale = policy.get("scale", o.bandit.scale, more_than(0));
  }
  if (policy.has("rewards")) {
    o.rewards.clear();
    for (const auto& [kind, value] : policy.child("rewards").entries()) o.rewards[kind] = value.as<double>(at_most(1));
  }
  return o;
}

ListPolicy::ListPolicy(const ListPolicyOptions& options) : options_(options) {
  options_.bandit.arms = options_.bandit.context_dim = 0;
  options_.bandit.feature_dim = kFeatures;
  if (options_.file.empty() || !file_exists(options_.file)) {
    policy_ = BanditPolicy::create(options_.bandit);
    return;
  }
  policy_ = BanditPolicy::load(options_.file);
  WN_CHECK(policy_->options().kind == options_.bandit.kind && policy_->options().feature_dim == kFeatures, ConfigError,
           "{}: the state of a policy '{}', not '{}'; move it away to begin anew", options_.file,
           name_of(policy_->options().kind), name_of(options_.bandit.kind));
}

ListPolicy::Choice ListPolicy::choose(const std::string& request, const std::vector<PolicyCandidate>& candidates,
                                      const std::vector<std::string>& keys, int64_t count, Clock::time_point now) {
  Choice choice;
  if (candidates.empty()) return choice;
  std::vector<double> features;
  features.reserve(candidates.size() * kFeatures);
  for (size_t i = 0; i < candidates.size(); ++i) {
    const PolicyCandidate& c = candidates[i];
    features.insert(features.end(), {1., static_cast<double>(c.logit), 1. / static_cast<double>(i + 1),
                                     c.is_new ? 1. : 0., std::log1p(static_cast<double>(c.positives)) / 10});
  }
  const std::lock_guard lock(mutex_);
  expire_locked(now);
  const Decision decision = policy_->choose({.features = features}, count);
  choice.order = decision.ranking;
  choice.propensity = decision.propensity;
  const auto first = static_cast<size_t>(decision.ranking[0]);
  const auto z = features.begin() + static_cast<std::ptrdiff_t>(first * kFeatures);
  if (open_.emplace(request, Open{keys[first], {z, z + kFeatures}, decision.propensity, now + options_.window}).second)
    order_.push_back(request);
  ++counts_.decisions;
  while (open_.size() > kMostOpen) {
    open_.erase(order_.front());
    order_.pop_front();
  }
  return choice;
}

void ListPolicy::learn(const Open& open, double reward) {
  policy_->learn(Feedback{.features = open.features, .reward = reward, .propensity = open.propensity});
  counts_.reward += reward;
  ++(reward != 0 ? counts_.rewarded : counts_.unrewarded);
}

double ListPolicy::feedback(const std::string& request, const std::string& item, const std::string& kind,
                            Clock::time_point now) {
  const std::lock_guard lock(mutex_);
  expire_locked(now);
  const auto at = open_.find(request);
  if (at == open_.end() || at->second.item != item) return 0;
  const auto reward = options_.rewards.find(kind);
  if (reward != options_.rewards.end() && !at->second.rewarded) {
    learn(at->second, reward->second);
    at->second.rewarded = true;
  }
  return at->second.propensity;
}

void ListPolicy::expire(Clock::time_point now) {
  const std::lock_guard lock(mutex_);
  expire_locked(now);
}

void ListPolicy::expire_locked(Clock::time_point now) {
  while (!order_.empty()) {
    const auto at = open_.find(order_.front());
    if (at != open_.end()) {
      if (at->second.until > now) return;
      if (!at->second.rewarded) learn(at->second, 0);
      open_.erase(at);
    }
    order_.pop_front();
  }
}

void ListPolicy::save() const {
  if (options_.file.empty()) return;
  const std::lock_guard lock(mutex_);
  policy_->save(options_.file);
}

ListPolicy::Counts ListPolicy::counts() const {
  const std::lock_guard lock(mutex_);
  Counts c = counts_;
  c.open = static_cast<int64_t>(open_.size());
  return c;
}

}  // namespace winnow
