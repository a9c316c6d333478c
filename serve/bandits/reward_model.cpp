#include "serve/bandits/reward_model.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "core/rng.h"
#include "serve/bandits/cholesky.h"

namespace winnow {
namespace {

using Kind = RewardModelOptions::Kind;
constexpr int64_t kMostParameters = 4000;
constexpr uint64_t kFoldStream = 0x666f6c64;

double sigmoid(double x) { return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x)); }
double softplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))); }

// The nonzero elements of the rows of a matrix: indicators are mostly zeros.
struct SparseRows {
  std::vector<size_t> begin{0};
  std::vector<int32_t> index;
  std::vector<double> value;

  void add(std::span<const double> row, int32_t first) {
    for (size_t j = 0; j < row.size(); ++j)
      if (row[j] != 0) index.push_back(first + static_cast<int32_t>(j)), value.push_back(row[j]);
    begin.push_back(index.size());
  }
  template <class F>
  void visit(int64_t row, F&& f) const {
    for (size_t k = begin[static_cast<size_t>(row)]; k < begin[static_cast<size_t>(row) + 1]; ++k)
      f(index[k], value[k]);
  }
  double dot(int64_t row, const std::vector<double>& theta) const {
    double sum = 0;
    visit(row, [&](int32_t j, double v) { sum += v * theta[static_cast<size_t>(j)]; });
    return sum;
  }
};

// z(i, a) = [1, x_i, phi_a]
struct Design {
  SparseRows contexts, actions;
  int64_t size = 0;

  explicit Design(const LoggedBandit& log) {
    const int64_t own = log.action_width > 0 ? log.action_width : log.actions;
    size = 1 + log.width + own;
    WN_CHECK(
        size <= kMostParameters, ConfigError,
        "reward model: {} parameters (1, {} of the context, {} of the actions); the limit is {}; use fewer features",
        size, log.width, own, kMostParameters);
    std::vector<double> row(static_cast<size_t>(log.width) + 1, 1.0);
    for (int64_t i = 0; i < log.rows; ++i) {
      std::ranges::copy(log.context(i), row.begin() + 1);
      contexts.add(row, 0);
    }
    row.assign(static_cast<size_t>(own), 0.0);
    for (int64_t a = 0; a < log.actions; ++a) {
      if (log.action_width > 0)
        std::copy_n(log.action_features.begin() + a * own, own, row.begin());
      else
        row[static_cast<size_t>(a)] = 1;
      actions.add(row, static_cast<int32_t>(1 + log.width));
      if (log.action_width == 0) row[static_cast<size_t>(a)] = 0;
    }
  }
  template <class F>
  void visit(int64_t i, int64_t a, F&& f) const {
    contexts.visit(i, f);
    actions.visit(a, f);
  }
};

// One regression on some rows of the log.
class Regression {
 public:
  Regression(const LoggedBandit& log, const Design& design, Kind kind, double l2, std::vector<int64_t> rows)
      : log_(log),
        design_(design),
        kind_(kind),
        l2_(l2),
        rows_(std::move(rows)),
        theta_(static_cast<size_t>(design.size)) {
    const double reward = reward_of(rows_[0]);
    constant_ = std::ranges::all_of(rows_, [&](int64_t i) { return reward_of(i) == reward; });
    if (constant_) {  // a logistic model of it has no finite intercept
      theta_[0] = reward;
      kind_ = Kind::Ridge;
    } else {
      fit();
    }
  }

  const std::vector<double>& theta() const { return theta_; }
  double mean(double eta) const { return kind_ == Kind::Logistic ? sigmoid(eta) : eta; }
  double slope(double q) const { return kind_ == Kind::Logistic ? q * (1 - q) : 1; }

  // influence[j] += n d mean(direct) / d weight_j for the rows j it was fitted to; gradient: of mean(direct) by theta.
  void add_influence(std::vector<double> gradient, std::vector<double>& influence) const {
    if (constant_) return;
    hessian_.solve(gradient);
    std::vector<double> own;
    for (const int64_t j : rows_) {
      const int64_t a = action_of(j);
      double direction = 0;
      design_.visit(j, a, [&](int32_t k, double v) { direction += v * gradient[static_cast<size_t>(k)]; });
      own.push_back(direction * (reward_of(j) - mean(eta(j, a))) * static_cast<double>(log_.rows));
    }
    const double centre = std::accumulate(own.begin(), own.end(), 0.0) / static_cast<double>(own.size());
    for (size_t k = 0; k < own.size(); ++k) influence[static_cast<size_t>(rows_[k])] += own[k] - centre;
  }

 private:
  double reward_of(int64_t i) const { return log_.reward[static_cast<size_t>(i)]; }
  int64_t action_of(int64_t i) const { return log_.action[static_cast<size_t>(i)]; }
  double eta(int64_t i, int64_t a) const { return design_.contexts.dot(i, theta_) + design_.actions.dot(a, theta_); }
  double penalty(size_t k) const { return k == 0 ? 0 : l2_; }

  double objective() const {
    double sum = 0;
    for (size_t k = 0; k < theta_.size(); ++k) sum += 0.5 * penalty(k) * theta_[k] * theta_[k];
    for (const int64_t i : rows_) {
      const double e = eta(i, action_of(i)), r = reward_of(i);
      sum += kind_ == Kind::Logistic ? softplus(e) - r * e : 0.5 * (r - e) * (r - e);
    }
    return sum;
  }

  // Minus the gradient of the objective, and its Hessian.
  std::vector<double> score_and_hessian() {
    const auto n = static_cast<size_t>(design_.size);
    std::vector<double> score(n), matrix(n * n);
    for (size_t k = 0; k < n; ++k) {
      score[k] = -penalty(k) * theta_[k];
      matrix[k * n + k] = penalty(k);
    }
    for (const int64_t i : rows_) {
      const int64_t a = action_of(i);
      const double q = mean(eta(i, a)), residual = reward_of(i) - q, curvature = slope(q);
      design_.visit(i, a, [&](int32_t j, double v) {
        score[static_cast<size_t>(j)] += residual * v;
        double* line = matrix.data() + static_cast<size_t>(j) * n;
        design_.visit(i, a, [&](int32_t k, double u) {
          if (k <= j) line[k] += curvature * v * u;
        });
      });
    }
    hessian_ = Cholesky::of(matrix, design_.size);
    return score;
  }

  void fit() {
    double value = objective();
    for (int iteration = 0; iteration < 100; ++iteration) {
      std::vector<double> step = score_and_hessian();
      hessian_.solve(step);
      double largest = 0;
      for (const double s : step) largest = std::max(largest, std::abs(s));
      if (largest < 1e-10) return;
      // Newton's step shortened until the objective falls; near the minimum it no longer can, by rounding.
      const std::vector<double> from = theta_;
      double length = 1, next = value;
      for (int half = 0; half < 40; ++half, length /= 2) {
        for (size_t k = 0; k < theta_.size(); ++k) theta_[k] = from[k] + length * step[k];
        next = objective();
        if (next <= value) break;
      }
      if (next > value) {
        theta_ = from;
        return;
      }
      value = next;
    }
  }

  const LoggedBandit& log_;
  const Design& design_;
  Kind kind_;
  double l2_;
  std::vector<int64_t> rows_;
  std::vector<double> theta_;
  Cholesky hessian_;
  bool constant_ = false;
};

void predict(const LoggedBandit& log, const Design& design, const Regression& model, std::span<const int64_t> rows,
             RewardPredictions& out) {
  std::vector<double> of_action(static_cast<size_t>(log.actions)), slopes(static_cast<size_t>(log.actions));
  for (int64_t a = 0; a < log.actions; ++a) of_action[static_cast<size_t>(a)] = design.actions.dot(a, model.theta());
  std::vector<double> gradient(static_cast<size_t>(design.size));
  for (const int64_t i : rows) {
    const double base = design.contexts.dot(i, model.theta());
    const auto policy = log.policy_of(i);
    double direct = 0, slope = 0;
    for (size_t a = 0; a < policy.size(); ++a) {
      if (policy[a] == 0) continue;
      const double q = model.mean(base + of_action[a]), s = policy[a] * model.slope(q);
      direct += policy[a] * q;
      slope += s;
      slopes[a] += s;
    }
    out.direct[static_cast<size_t>(i)] = direct;
    out.logged[static_cast<size_t>(i)] =
        model.mean(base + of_action[static_cast<size_t>(log.action[static_cast<size_t>(i)])]);
    design.contexts.visit(i, [&](int32_t k, double v) { gradient[static_cast<size_t>(k)] += slope * v; });
  }
  for (int64_t a = 0; a < log.actions; ++a)
    design.actions.visit(
        a, [&](int32_t k, double v) { gradient[static_cast<size_t>(k)] += slopes[static_cast<size_t>(a)] * v; });
  for (double& g : gradient) g /= static_cast<double>(log.rows);
  model.add_influence(std::move(gradient), out.influence);
}

// The folds of the rows of one position: those of the log, or drawn.
std::vector<std::vector<int64_t>> folds_of(const LoggedBandit& log, const RewardModelOptions& options,
                                           int64_t position) {
  std::vector<int64_t> rows;
  for (int64_t i = 0; i < log.rows; ++i)
    if (log.position[static_cast<size_t>(i)] == position) rows.push_back(i);
  if (!log.fold.empty()) {
    std::vector<std::vector<int64_t>> folds(static_cast<size_t>(*std::ranges::max_element(log.fold)) + 1);
    for (const int64_t i : rows) folds[static_cast<size_t>(log.fold[static_cast<size_t>(i)])].push_back(i);
    for (const auto& fold : folds)
      WN_CHECK(fold.empty() || rows.size() >= fold.size() + 2, DataError,
               "reward model: position {} has {} rows outside of a fold of {}, a model needs 2", position,
               rows.size() - fold.size(), fold.size());
    return folds;
  }
  const size_t n = static_cast<size_t>(options.folds);
  WN_CHECK(rows.size() >= 2 * n, DataError, "reward model: position {} has {} rows, {} folds need {}", position,
           rows.size(), n, 2 * n);
  Rng(options.seed, kFoldStream + static_cast<uint64_t>(position)).shuffle(rows);
  std::vector<std::vector<int64_t>> folds(n);
  for (size_t k = 0; k < rows.size(); ++k) folds[k % n].push_back(rows[k]);
  return folds;
}

Kind chosen_kind(const LoggedBandit& log, Kind wanted) {
  const auto other = std::ranges::find_if(log.reward, [](double r) { return r != 0 && r != 1; });
  if (wanted == Kind::Auto) return other == log.reward.end() ? Kind::Logistic : Kind::Ridge;
  WN_CHECK(wanted != Kind::Logistic || other == log.reward.end(), ConfigError,
           "reward model: logistic needs rewards of 0 and 1, there is {}; use ridge", *other);
  return wanted;
}

}  // namespace

RewardPredictions fit_reward_model(const LoggedBandit& log, const RewardModelOptions& options) {
  WN_CHECK(options.l2 > 0 && std::isfinite(options.l2), ConfigError, "reward model: l2 {} must be positive",
           options.l2);
  WN_CHECK(options.folds >= 1, ConfigError, "reward model: {} folds, it takes at least 1", options.folds);
  RewardPredictions out;
  out.kind = chosen_kind(log, options.kind);
  const auto n = static_cast<size_t>(log.rows);
  out.direct.resize(n), out.logged.resize(n), out.influence.resize(n);
  const Design design(log);
  for (int64_t position = 0; position < log.positions; ++position) {
    const auto folds = folds_of(log, options, position);
    for (const auto& predicted : folds) {
      if (predicted.empty()) continue;
      std::vector<int64_t> fitted;
      for (const auto& other : folds)
        if (&other != &predicted || folds.size() == 1) fitted.insert(fitted.end(), other.begin(), other.end());
      std::ranges::sort(fitted);
      predict(log, design, Regression(log, design, out.kind, options.l2, std::move(fitted)), predicted, out);
    }
  }
  return out;
}

}  // namespace winnow
