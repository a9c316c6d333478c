#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "serve/bandits/bandits.h"
#include "serve/bandits/max_probability.h"

namespace winnow {
namespace {

constexpr double kOne[] = {1.0};

// A candidate with neither context nor features is its arm's mean: x = [1].
int64_t context_size(const BanditOptions& o) { return o.context_dim + o.feature_dim > 0 ? o.context_dim : 1; }

std::span<const double> context_of(const BanditOptions& o, std::span<const double> context) {
  return o.context_dim + o.feature_dim > 0 ? context : std::span<const double>(kOne);
}

double sigmoid(double x) { return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x)); }

// The step g of the mode eta + v g of N(eta, v) times a Bernoulli likelihood: g = y - sigmoid(eta + v g). The left side
// rises in g and the right one falls, so that Newton's method inside a shrinking bracket finds the one root.
double laplace_step(double eta, double v, double y) {
  double low = y - 1, high = y, g = y - sigmoid(eta);
  for (int i = 0; i < 200; ++i) {
    const double p = sigmoid(eta + v * g), f = g - (y - p);
    (f > 0 ? high : low) = g;
    double next = g - f / (1 + v * p * (1 - p));
    if (!(next > low && next < high)) next = (low + high) / 2;
    if (std::abs(next - g) < 1e-15) return next;
    g = next;
  }
  return g;
}

}  // namespace

std::vector<int32_t> best_first(const std::vector<double>& values, int64_t count) {
  std::vector<int32_t> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  const auto before = [&](int32_t a, int32_t b) {
    const double x = values[static_cast<size_t>(a)], y = values[static_cast<size_t>(b)];
    return x != y ? x > y : a < b;
  };
  const size_t kept = std::min(order.size(), static_cast<size_t>(count));
  std::partial_sort(order.begin(), order.begin() + static_cast<ptrdiff_t>(kept), order.end(), before);
  order.resize(kept);
  return order;
}

LinearBandit::LinearBandit(const BanditOptions& options)
    : BanditPolicy(options), model_(options.arms, context_size(options), options.feature_dim, options.ridge) {}

LinearModel::Prediction LinearBandit::predict(const Candidates& candidates, int64_t c) const {
  const auto i = static_cast<size_t>(c), k = static_cast<size_t>(options_.feature_dim);
  return model_.predict(candidates.arms.empty() ? -1 : candidates.arms[i], context_of(options_, candidates.context),
                        candidates.features.subspan(i * k, k));
}

double LinearBandit::exploration() const {
  return std::min(1.0, options_.epsilon * std::pow(1 + static_cast<double>(decisions_), -options_.epsilon_decay));
}

// What is sorted: the estimate, the upper bound or a draw.
std::vector<double> LinearBandit::scores(const Candidates& candidates, int64_t n, Rng& rng) const {
  std::vector<double> out;
  const std::vector<double> beta = thompson() ? model_.draw_shared(options_.scale, rng) : std::vector<double>{};
  for (int64_t c = 0; c < n; ++c) {
    const LinearModel::Prediction p = predict(candidates, c);
    if (options_.kind == BanditKind::LinUcb)
      out.push_back(p.mean + options_.alpha * std::sqrt(model_.variance(p)));
    else if (thompson())
      out.push_back(p.own + dot(p.u, beta) + options_.scale * std::sqrt(p.own_variance) * rng.normal());
    else
      out.push_back(p.mean);
  }
  return out;
}

std::vector<double> LinearBandit::square_cb(const std::vector<double>& means) const {
  const auto n = static_cast<double>(means.size());
  const double gamma = options_.gamma * std::sqrt(n * (1 + static_cast<double>(decisions_)));
  const auto best = static_cast<size_t>(std::ranges::max_element(means) - means.begin());
  std::vector<double> p(means.size());
  double others = 0;
  for (size_t c = 0; c < means.size(); ++c)
    if (c != best) others += p[c] = 1 / (n + gamma * (means[best] - means[c]));
  p[best] = 1 - others;
  return p;
}

std::vector<int32_t> LinearBandit::rank(const Candidates& candidates, int64_t n, int64_t count, Rng& rng) const {
  const std::vector<double> values = scores(candidates, n, rng);
  if (options_.kind == BanditKind::EpsilonGreedy && rng.uniform() < exploration()) {
    std::vector<int32_t> order(static_cast<size_t>(n));
    std::iota(order.begin(), order.end(), 0);
    rng.shuffle(order);
    order.resize(static_cast<size_t>(std::min(n, count)));
    return order;
  }
  if (options_.kind != BanditKind::SquareCb) return best_first(values, count);
  // Exponential races: the order of E_c / p_c is that of drawing without replacement in proportion to p.
  std::vector<double> race = square_cb(values);
  for (double& p : race) p = std::log(rng.uniform()) / p;
  return best_first(race, count);
}

bool LinearBandit::is_exact() const { return !thompson() || model_.independent(); }

void LinearBandit::moments(const Candidates& candidates, int64_t n, std::vector<double>& means,
                           std::vector<double>& deviations) const {
  for (int64_t c = 0; c < n; ++c) {
    const LinearModel::Prediction p = predict(candidates, c);
    means.push_back(p.mean);
    deviations.push_back(options_.scale * std::sqrt(model_.variance(p)));
  }
}

double LinearBandit::exact_probability(const Candidates& candidates, int64_t n, int64_t first) const {
  if (!thompson()) return exact_probabilities(candidates, n)[static_cast<size_t>(first)];
  std::vector<double> means, deviations;
  moments(candidates, n, means, deviations);
  return normal_max_probability(means, deviations, static_cast<size_t>(first));
}

std::vector<double> LinearBandit::exact_probabilities(const Candidates& candidates, int64_t n) const {
  std::vector<double> means, deviations, p(static_cast<size_t>(n));
  if (thompson()) {
    moments(candidates, n, means, deviations);
    for (size_t c = 0; c < p.size(); ++c) p[c] = normal_max_probability(means, deviations, c);
    return p;
  }
  Rng unused(0);  // no draw enters these scores
  const std::vector<double> values = scores(candidates, n, unused);
  if (options_.kind == BanditKind::SquareCb) return square_cb(values);
  const double explored = options_.kind == BanditKind::EpsilonGreedy ? exploration() : 0;
  for (double& v : p) v = explored / static_cast<double>(n);
  p[static_cast<size_t>(best_first(values, 1)[0])] += 1 - explored;
  return p;
}

void LinearBandit::update(const Feedback& feedback) {
  const auto context = context_of(options_, feedback.context);
  if (options_.kind != BanditKind::ThompsonLogistic) {
    const double weight = options_.importance_weighted ? 1 / feedback.propensity : 1;
    model_.update(feedback.arm, context, feedback.features, weight, weight * feedback.reward);
    return;
  }
  const LinearModel::Prediction p = model_.predict(feedback.arm, context, feedback.features);
  const double v = model_.variance(p), g = laplace_step(p.mean, v, feedback.reward), eta = p.mean + v * g;
  const double q = sigmoid(eta), curvature = q * (1 - q);
  // The right-hand side whose solution is the mode: A m + x g + c x eta = (A + c x x^T) (m + A^-1 x g).
  model_.update(feedback.arm, context, feedback.features, curvature, g + curvature * eta);
}

}  // namespace winnow
