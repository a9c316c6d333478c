#include "serve/bandits/logged.h"

#include <cmath>

#include "core/error.h"

namespace winnow {
namespace {

void check_sizes(const LoggedBandit& log) {
  const auto size = [](int64_t a, int64_t b) { return static_cast<size_t>(a * b); };
  const size_t n = size(log.rows, 1);
  WN_CHECK(log.rows > 0, DataError, "logged bandit: no rows");
  WN_CHECK(log.actions > 0 && log.positions > 0, DataError, "logged bandit: {} actions, {} positions", log.actions,
           log.positions);
  WN_CHECK(log.action.size() == n && log.position.size() == n && log.reward.size() == n && log.propensity.size() == n &&
               log.features.size() == size(log.rows, log.width) && (log.fold.empty() || log.fold.size() == n),
           DataError,
           "logged bandit: columns of {} actions, {} positions, {} rewards, {} propensities, {} features, {} folds for "
           "{} rows",
           log.action.size(), log.position.size(), log.reward.size(), log.propensity.size(), log.features.size(),
           log.fold.size(), log.rows);
  WN_CHECK(log.action_features.size() == size(log.actions, log.action_width), DataError,
           "logged bandit: {} features of {} actions, expected {} each", log.action_features.size(), log.actions,
           log.action_width);
  WN_CHECK(log.policy.size() == size(log.policy_by_row ? log.rows : log.positions, log.actions), DataError,
           "logged bandit: {} probabilities of the policy", log.policy.size());
}

}  // namespace

void LoggedBandit::check() const {
  check_sizes(*this);
  for (size_t i = 0; i < action.size(); ++i) {
    WN_CHECK(action[i] >= 0 && action[i] < actions, DataError, "logged bandit: row {}: action {} of {}", i, action[i],
             actions);
    WN_CHECK(position[i] >= 0 && position[i] < positions, DataError, "logged bandit: row {}: position {} of {}", i,
             position[i], positions);
    WN_CHECK(propensity[i] > 0 && propensity[i] <= 1, DataError,
             "logged bandit: row {}: propensity {} is not in (0, 1]", i, propensity[i]);
    WN_CHECK(std::isfinite(reward[i]), DataError, "logged bandit: row {}: reward {}", i, reward[i]);
  }
  for (const int32_t f : fold) WN_CHECK(f >= 0, DataError, "logged bandit: a fold is {}", f);
  for (const double v : features) WN_CHECK(std::isfinite(v), DataError, "logged bandit: a feature is {}", v);
  for (const double v : action_features)
    WN_CHECK(std::isfinite(v), DataError, "logged bandit: a feature of an action is {}", v);
  const int64_t lines = policy_by_row ? rows : positions;
  for (int64_t line = 0; line < lines; ++line) {
    double sum = 0;
    for (int64_t a = 0; a < actions; ++a) {
      const double p = policy[static_cast<size_t>(line * actions + a)];
      WN_CHECK(p >= 0 && p <= 1 + 1e-9, DataError,
               "logged bandit: the policy's probability of action {} in {} {} is {}", a,
               policy_by_row ? "row" : "position", line, p);
      sum += p;
    }
    WN_CHECK(std::abs(sum - 1) <= 1e-3, DataError,
             "logged bandit: the policy's probabilities in {} {} sum to {}, not to 1; all actions are needed",
             policy_by_row ? "row" : "position", line, sum);
  }
}

}  // namespace winnow
