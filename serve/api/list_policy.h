// A contextual bandit (serve/bandits) over the best of a recommender's list: it chooses what stands first, says with
// which probability, and learns from what the user did with it.
//
//   z of a candidate = [1, logit, 1 / rank, new, log(1 + positives) / 10]; one model for all of them
//   reward = that of the kind of the first event that names the request and the item; 0 when none came in `window`
//
// Every answer is remembered until its window has passed, the newest kMostOpen of them. Methods may be called from any
// thread.
#pragma once
#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/config.h"
#include "serve/bandits/policy.h"

namespace winnow {

struct ListPolicyOptions {
  BanditOptions bandit;  // dimensions are set here
  int64_t among = 20;    // the best so many are candidates
  std::map<std::string, double> rewards = {{"click", 1}, {"cart", 1}, {"purchase", 1}, {"like", 1}};
  std::chrono::seconds window{600};
  std::string file;  // where its state is kept; "": with the process
};
// The `policy:` section: kind, among, window, rewards, and the options of the kind: epsilon, epsilon_decay, alpha,
// scale, gamma, ridge, seed. ConfigError; a kind without a shared model (thompson_bernoulli).
ListPolicyOptions read_list_policy(const ConfigNode& policy);

struct PolicyCandidate {
  float logit = 0;
  bool is_new = false;
  int64_t positives = 0;
};

class ListPolicy {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr int64_t kFeatures = 5;
  static constexpr size_t kMostOpen = 100'000;

  // The state in options.file when there is one. IoError, ConfigError: it was made with other options.
  explicit ListPolicy(const ListPolicyOptions& options);
  const ListPolicyOptions& options() const { return options_; }

  struct Choice {
    std::vector<int32_t> order;  // places in the candidates, `count` of them
    double propensity = 1;       // of the first
  };
  // candidates in the recommender's order, keys[i] of candidate i.
  Choice choose(const std::string& request, const std::vector<PolicyCandidate>& candidates,
                const std::vector<std::string>& keys, int64_t count, Clock::time_point now = Clock::now());
  // The propensity that was said for this item, 0 when it was not first in that answer or nobody remembers it.
  double feedback(const std::string& request, const std::string& item, const std::string& kind,
                  Clock::time_point now = Clock::now());
  void expire(Clock::time_point now = Clock::now());  // what got no event in its window is learnt as reward 0
  void save() const;                                  // IoError

  struct Counts {
    int64_t decisions = 0, rewarded = 0, unrewarded = 0, open = 0;
    double reward = 0;  // sum
  };
  Counts counts() const;

 private:
  struct Open {
    std::string item;
    std::vector<double> features;
    double propensity = 1;
    Clock::time_point until;
    bool rewarded = false;
  };
  void learn(const Open& open, double reward);
  void expire_locked(Clock::time_point now);
  ListPolicyOptions options_;
  mutable std::mutex mutex_;
  std::unique_ptr<BanditPolicy> policy_;
  std::unordered_map<std::string, Open> open_;
  std::deque<std::string> order_;  // of open_, oldest first
  Counts counts_;
};

}  // namespace winnow
