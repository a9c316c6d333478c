#include "serve/bandits/ope.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "core/text.h"

namespace winnow {
namespace {

double mean_of(const std::vector<double>& v) {
  return std::accumulate(v.begin(), v.end(), 0.0) / static_cast<double>(v.size());
}

double variance_of(const std::vector<double>& v) {
  const double m = mean_of(v);
  double sum = 0;
  for (const double x : v) sum += (x - m) * (x - m);
  return v.size() > 1 ? sum / static_cast<double>(v.size() - 1) : 0;
}

// An estimate as a mean of terms over rows, divided by that of `weights` where there are some.
struct Terms {
  std::string name;
  std::vector<double> values, weights;
  std::vector<double> noise;  // instead of values for the error: what the mean varies with
};

Terms terms_of(const std::string& name, const LoggedBandit& log, const std::vector<double>& w,
               const RewardPredictions& q, const OpeReport& report) {
  Terms t{name, std::vector<double>(w.size()), {}, {}};
  for (size_t i = 0; i < w.size(); ++i) {
    const double r = log.reward[i];
    if (name == "ips" || name == "snips")
      t.values[i] = w[i] * r;
    else if (name == "clipped")
      t.values[i] = std::min(w[i], report.clip) * r;
    else if (name == "dm")
      t.values[i] = q.direct[i];
    else if (name == "dr" || w[i] <= report.switch_threshold)
      t.values[i] = q.direct[i] + w[i] * (r - q.logged[i]);
    else
      t.values[i] = q.direct[i];
  }
  if (name == "snips") t.weights = w;
  if (name == "dm") {
    t.noise = t.values;
    for (size_t i = 0; i < w.size(); ++i) t.noise[i] += q.influence[i];
  }
  return t;
}

OpeEstimate normal_estimate(const Terms& t, double confidence_factor) {
  OpeEstimate e{.name = t.name, .value = mean_of(t.values)};
  std::vector<double> noise = t.noise.empty() ? t.values : t.noise;
  if (!t.weights.empty()) {
    const double mean_weight = mean_of(t.weights);
    e.value = mean_weight > 0 ? e.value / mean_weight : std::numeric_limits<double>::quiet_NaN();
    for (size_t i = 0; i < noise.size(); ++i) noise[i] = (t.values[i] - e.value * t.weights[i]) / mean_weight;
  }
  e.standard_error = std::sqrt(variance_of(noise) / static_cast<double>(noise.size()));
  e.normal = {e.value - confidence_factor * e.standard_error, e.value + confidence_factor * e.standard_error};
  return e;
}

void add_bootstrap(const std::vector<Terms>& all, std::span<OpeEstimate*> estimates, const BootstrapOptions& options) {
  const auto compute = [&](std::span<const uint32_t> counts, std::span<double> values) {
    for (size_t s = 0; s < all.size(); ++s) {
      const Terms& t = all[s];
      const std::vector<double>& v = t.noise.empty() ? t.values : t.noise;
      double sum = 0, weight = 0;
      for (size_t i = 0; i < counts.size(); ++i) {
        sum += counts[i] * v[i];
        weight += t.weights.empty() ? 0 : counts[i] * t.weights[i];
      }
      if (t.weights.empty()) weight = static_cast<double>(counts.size());
      values[s] = weight > 0 ? sum / weight : std::numeric_limits<double>::quiet_NaN();
    }
  };
  const auto intervals =
      bootstrap(static_cast<int64_t>(all[0].values.size()), static_cast<int>(all.size()), compute, options);
  for (size_t s = 0; s < all.size(); ++s) estimates[s]->bootstrap = intervals[s];
}

std::vector<std::string> warnings_of(const LoggedBandit& log, const std::vector<double>& w, const OpeReport& report) {
  std::vector<std::string> out;
  const auto n = static_cast<double>(log.rows);
  if (log.zero_propensities > 0)
    out.push_back(
        fmt::format("{} rows have a propensity of 0 and are left out: no policy plays what it cannot play; "
                    "the estimates hold for the other rows only",
                    log.zero_propensities));
  if (report.effective_sample_size < 100 || report.effective_sample_size < 0.05 * n)
    out.push_back(
        fmt::format("small overlap: the weighted rows are worth {:.0f} of {:.0f}; estimates with weights are "
                    "uncertain beyond their intervals",
                    report.effective_sample_size, n));
  const double total = report.mean_weight * n;
  if (total > 0 && report.largest_weight > 0.1 * total)
    out.push_back(fmt::format("one row carries {:.0f} % of all weight", 100 * report.largest_weight / total));
  std::vector<double> weights(w);
  const double error = std::sqrt(variance_of(weights) / n);
  if (std::abs(report.mean_weight - 1) > 4 * error + 1e-9)
    out.push_back(
        fmt::format("weights average {:.4f} and should average 1 (standard error {:.4f}): the propensities are "
                    "not those of the log, or the policy plays actions that the log never does",
                    report.mean_weight, error));
  std::vector<double> logged(static_cast<size_t>(log.actions));
  for (const int32_t a : log.action) logged[static_cast<size_t>(a)] = 1;
  double unseen = 0;
  for (int64_t i = 0; i < log.rows; ++i) {
    const auto policy = log.policy_of(i);
    for (size_t a = 0; a < policy.size(); ++a) unseen += logged[a] == 0 ? policy[a] : 0;
  }
  if (unseen / n > 1e-3)
    out.push_back(
        fmt::format("the policy gives {:.2g} % of its choices to actions that are not in the log", 100 * unseen / n));
  return out;
}

void check_options(const OpeOptions& options, const std::vector<std::string>& known) {
  WN_CHECK(!options.estimators.empty(), ConfigError, "ope: no estimator");
  for (const std::string& name : options.estimators)
    WN_CHECK(std::ranges::find(known, name) != known.end(), ConfigError, "ope: unknown estimator {}{}; there are {}",
             quoted(name), did_you_mean(name, known), fmt::join(known, ", "));
  WN_CHECK(options.clip >= 0, ConfigError, "ope: clip {} must not be negative", options.clip);
  WN_CHECK(options.switch_threshold >= 0, ConfigError, "ope: switch threshold {} must not be negative",
           options.switch_threshold);
}

}  // namespace

OpeReport evaluate_policy(const LoggedBandit& log, const OpeOptions& options) {
  check_options(options, OpeOptions{}.estimators);
  log.check();
  OpeReport report{.rows = log.rows, .actions = log.actions, .positions = log.positions};
  std::vector<double> w(static_cast<size_t>(log.rows));
  double squares = 0;
  for (size_t i = 0; i < w.size(); ++i) {
    w[i] = log.weight(static_cast<int64_t>(i));
    squares += w[i] * w[i];
    report.largest_weight = std::max(report.largest_weight, w[i]);
  }
  report.mean_weight = mean_of(w);
  const double total = report.mean_weight * static_cast<double>(log.rows);
  report.effective_sample_size = squares > 0 ? total * total / squares : 0;
  report.clip = options.clip > 0 ? options.clip : std::sqrt(static_cast<double>(log.rows));

  const auto wants = [&](const char* name) {
    return std::ranges::find(options.estimators, name) != options.estimators.end();
  };
  RewardPredictions q;
  if (wants("dm") || wants("dr") || wants("switch")) {
    q = fit_reward_model(log, options.model);
    report.reward_model = q.kind == RewardModelOptions::Logistic ? "logistic" : "ridge";
    report.switch_threshold =
        options.switch_threshold > 0 ? options.switch_threshold : std::sqrt(static_cast<double>(log.rows));
  }
  constexpr double kNormal95 = 1.959963984540054;
  std::vector<Terms> all;
  for (const std::string& name : options.estimators) all.push_back(terms_of(name, log, w, q, report));
  all.push_back({"logged", log.reward, {}, {}});
  for (size_t s = 0; s + 1 < all.size(); ++s) report.estimates.push_back(normal_estimate(all[s], kNormal95));
  report.logged = normal_estimate(all.back(), kNormal95);
  std::vector<OpeEstimate*> estimates;
  for (OpeEstimate& e : report.estimates) estimates.push_back(&e);
  estimates.push_back(&report.logged);
  add_bootstrap(all, estimates, options.bootstrap);
  report.warnings = warnings_of(log, w, report);
  return report;
}

}  // namespace winnow
