#include "train/metrics.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "core/exact_sum.h"
#include "core/parallel.h"
#include "train/metrics_auc.h"
#include "train/metrics_calibration.h"

namespace winnow {
namespace {

constexpr double kLeastProbability = 1e-15;

float weight_of(const MetricRows& rows, size_t i) { return rows.weights.empty() ? 1.0f : rows.weights[i]; }

// sum w term / sum w, then a function of it.
class MeanMetric final : public Metric {
 public:
  enum Kind { LogLoss, Brier, Rmse, Mae };
  MeanMetric(std::string name, Kind kind) : Metric(std::move(name)), kind_(kind) {}

  void update(const MetricRows& rows) override {
    check_rows(name(), rows, rows_, kind_ == LogLoss || kind_ == Brier ? LabelRange::Probability : LabelRange::Finite);
    for (size_t i = 0; i < rows.predictions.size(); ++i) {
      const double w = weight_of(rows, i);
      if (w == 0) continue;
      terms_.add(w * term(rows.predictions[i], rows.labels[i]));
      weights_.add(w);
    }
    rows_ += static_cast<int64_t>(rows.predictions.size());
  }
  void merge(const Metric& other) override {
    const auto& m = same_kind<MeanMetric>(other);
    terms_.merge(m.terms_);
    weights_.merge(m.weights_);
    rows_ += m.rows_;
  }
  MetricValue value() const override {
    const double weight = weights_.value();
    if (weight == 0) return {.name = name(), .value = {}, .reason = "no row with a weight above 0"};
    const double mean = terms_.value() / weight;
    return {.name = name(), .value = kind_ == Rmse ? std::sqrt(mean) : mean};
  }

 private:
  double term(double prediction, double label) const {
    if (kind_ == LogLoss) return log_loss(prediction, label);
    const double error = (kind_ == Brier ? sigmoid(prediction) : prediction) - label;
    return kind_ == Mae ? std::abs(error) : error * error;
  }
  Kind kind_;
  ExactSum terms_, weights_;
  int64_t rows_ = 0;
};

// Sums of log loss, label and prediction; a ratio of two of them.
class RatioMetric final : public Metric {
 public:
  enum Kind { Ne, Copc };
  RatioMetric(std::string name, Kind kind) : Metric(std::move(name)), kind_(kind) {}

  void update(const MetricRows& rows) override {
    check_rows(name(), rows, rows_, LabelRange::Probability);
    for (size_t i = 0; i < rows.predictions.size(); ++i) {
      const double w = weight_of(rows, i), z = rows.predictions[i], y = rows.labels[i];
      if (w == 0) continue;
      terms_.add(w * (kind_ == Ne ? log_loss(z, y) : sigmoid(z)));
      labels_.add(w * y);
      weights_.add(w);
    }
    rows_ += static_cast<int64_t>(rows.predictions.size());
  }
  void merge(const Metric& other) override {
    const auto& m = same_kind<RatioMetric>(other);
    terms_.merge(m.terms_);
    labels_.merge(m.labels_);
    weights_.merge(m.weights_);
    rows_ += m.rows_;
  }
  MetricValue value() const override {
    const double weight = weights_.value(), labels = labels_.value(), terms = terms_.value();
    if (weight == 0) return {.name = name(), .value = {}, .reason = "no row with a weight above 0"};
    if (kind_ == Copc) {
      if (terms == 0) return {.name = name(), .value = {}, .reason = "every predicted probability is 0"};
      return {.name = name(), .value = labels / terms};
    }
    if (labels == 0 || labels == weight)
      return {.name = name(), .value = {}, .reason = "needs both classes: the entropy of the mean label is 0"};
    return {.name = name(), .value = terms / weight / binary_entropy(labels / weight)};
  }

 private:
  Kind kind_;
  ExactSum terms_, labels_, weights_;
  int64_t rows_ = 0;
};

class ThresholdMetric final : public Metric {
 public:
  enum Kind { Accuracy, Precision, Recall, F1 };
  ThresholdMetric(std::string name, Kind kind, double threshold)
      : Metric(std::move(name)), kind_(kind), cut_(logit_of(threshold)) {}

  void update(const MetricRows& rows) override {
    check_rows(name(), rows, rows_, LabelRange::Binary);
    for (size_t i = 0; i < rows.predictions.size(); ++i) {
      const double w = weight_of(rows, i);
      if (w == 0) continue;
      const bool called = rows.predictions[i] >= cut_, positive = rows.labels[i] > 0.5f;
      counts_[(called ? 2 : 0) + (positive ? 1 : 0)].add(w);
    }
    rows_ += static_cast<int64_t>(rows.predictions.size());
  }
  void merge(const Metric& other) override {
    const auto& m = same_kind<ThresholdMetric>(other);
    WN_CHECK(cut_ == m.cut_, ConfigError, "metric {}: cannot merge counts of another threshold", name());
    for (size_t i = 0; i < counts_.size(); ++i) counts_[i].merge(m.counts_[i]);
    rows_ += m.rows_;
  }
  MetricValue value() const override {
    const double tn = counts_[0].value(), fn = counts_[1].value(), fp = counts_[2].value(), tp = counts_[3].value();
    switch (kind_) {
      case Accuracy: return ratio(tp + tn, tp + tn + fp + fn, "no row with a weight above 0");
      case Precision: return ratio(tp, tp + fp, "no row is called positive");
      case Recall: return ratio(tp, tp + fn, "no row has label 1");
      case F1: break;
    }
    return ratio(2 * tp, 2 * tp + fp + fn, "no row has label 1 or is called positive");
  }

 private:
  MetricValue ratio(double numerator, double denominator, const char* reason) const {
    if (denominator == 0) return {.name = name(), .value = {}, .reason = reason};
    return {.name = name(), .value = numerator / denominator};
  }
  Kind kind_;
  double cut_;
  std::array<ExactSum, 4> counts_;  // [called positive][label]
  int64_t rows_ = 0;
};

}  // namespace

std::string MetricValue::str() const {
  if (!value) return fmt::format("{} undefined: {}", name, reason);
  if (std::isnan(low) || std::isnan(high)) return fmt::format("{} {:.6f}", name, *value);
  return fmt::format("{} {:.6f} [{:.6f}, {:.6f}]", name, *value, low, high);
}

double log_loss(double logit, double label) {
  static const double limit = logit_of(1);
  const double z = std::clamp(logit, -limit, limit);
  return std::max(z, 0.0) - z * label + std::log1p(std::exp(-std::abs(z)));
}

double binary_entropy(double p) { return p <= 0 || p >= 1 ? 0 : -p * std::log(p) - (1 - p) * std::log1p(-p); }

double logit_of(double probability) {
  const double p = std::clamp(probability, kLeastProbability, 1 - kLeastProbability);
  // log(1e15) on both sides: 1 - (1 - 1e-15) is not 1e-15 in double
  if (p >= 1 - kLeastProbability) return -std::log(kLeastProbability);
  if (p <= kLeastProbability) return std::log(kLeastProbability);
  return std::log(p) - std::log1p(-p);
}

namespace {

// The checks of check_rows in one parallel pass; what is wrong and where is then looked for in order.
bool rows_are_good(const MetricRows& rows, LabelRange range) {
  std::atomic<bool> good = true;
  parallel_for(static_cast<int64_t>(rows.predictions.size()), 1 << 15, [&](int64_t begin, int64_t end) {
    bool mine = true;
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
      const float w = weight_of(rows, i), y = rows.labels[i];
      const bool label = range == LabelRange::Binary        ? (y == 0) | (y == 1)
                         : range == LabelRange::Probability ? (y >= 0) & (y <= 1)
                                                            : std::isfinite(y);
      const bool seen = label & !std::isnan(rows.predictions[i]) & (rows.users.empty() || rows.users[i] >= 0);
      mine &= (w == 0) | ((w > 0) & std::isfinite(w) & seen);
    }
    if (!mine) good = false;
  });
  return good;
}

}  // namespace

void check_rows(std::string_view metric, const MetricRows& rows, int64_t first_row, LabelRange range) {
  const size_t n = rows.predictions.size();
  WN_CHECK(rows.labels.size() == n && (rows.weights.empty() || rows.weights.size() == n) &&
               (rows.users.empty() || rows.users.size() == n),
           ShapeError, "metric {}: {} predictions with {} labels, {} weights, {} users; the lengths must agree", metric,
           n, rows.labels.size(), rows.weights.size(), rows.users.size());
  if (rows_are_good(rows, range)) return;
  for (size_t i = 0; i < n; ++i) {
    const float w = weight_of(rows, i), y = rows.labels[i];
    const int64_t row = first_row + static_cast<int64_t>(i);
    WN_CHECK(w >= 0 && std::isfinite(w), DataError, "metric {}: row {}: weight {} must be finite and not negative",
             metric, row, w);
    if (w == 0) continue;
    WN_CHECK(!std::isnan(rows.predictions[i]), DataError,
             "metric {}: row {}: the prediction is NaN; lower the learning rate or clip the gradients", metric, row);
    const bool in_range = range == LabelRange::Binary        ? y == 0 || y == 1
                          : range == LabelRange::Probability ? y >= 0 && y <= 1
                                                             : std::isfinite(y);
    WN_CHECK(in_range, DataError, "metric {}: row {}: label {} must be {}", metric, row, y,
             range == LabelRange::Binary        ? "0 or 1"
             : range == LabelRange::Probability ? "between 0 and 1"
                                                : "finite");
    WN_CHECK(rows.users.empty() || rows.users[i] >= 0, DataError,
             "metric {}: row {}: user {} must not be negative; give every row a key of its user", metric, row,
             rows.users[i]);
  }
}

const std::vector<std::string>& metric_names() {
  static const std::vector<std::string> names = {"auc",       "gauc",   "pr_auc",   "logloss", "ne",
                                                 "brier",     "ece",    "ece_mass", "copc",    "accuracy",
                                                 "precision", "recall", "f1",       "rmse",    "mae"};
  return names;
}

namespace {
std::string known_metrics() {
  std::string text;
  for (const std::string& name : metric_names()) text += (text.empty() ? "" : ", ") + name;
  return text;
}
}  // namespace

std::unique_ptr<Metric> make_metric(std::string_view name, const MetricOptions& options) {
  WN_CHECK(options.threshold > 0 && options.threshold < 1, ConfigError, "metric {}: threshold {} must lie in (0, 1)",
           name, options.threshold);
  WN_CHECK(options.bins >= 1, ConfigError, "metric {}: {} bins; there must be at least one", name, options.bins);
  const std::string n(name);
  if (name == "auc") return std::make_unique<Auc>();
  if (name == "gauc") return std::make_unique<GroupedAuc>();
  if (name == "logloss") return std::make_unique<MeanMetric>(n, MeanMetric::LogLoss);
  if (name == "pr_auc") return std::make_unique<PrAuc>();
  if (name == "brier") return std::make_unique<MeanMetric>(n, MeanMetric::Brier);
  if (name == "ne") return std::make_unique<RatioMetric>(n, RatioMetric::Ne);
  if (name == "copc") return std::make_unique<RatioMetric>(n, RatioMetric::Copc);
  if (name == "ece") return make_calibration_error(n, Binning::EqualWidth, options.bins);
  if (name == "ece_mass") return make_calibration_error(n, Binning::EqualMass, options.bins);
  if (name == "rmse") return std::make_unique<MeanMetric>(n, MeanMetric::Rmse);
  if (name == "mae") return std::make_unique<MeanMetric>(n, MeanMetric::Mae);
  if (name == "accuracy") return std::make_unique<ThresholdMetric>(n, ThresholdMetric::Accuracy, options.threshold);
  if (name == "precision") return std::make_unique<ThresholdMetric>(n, ThresholdMetric::Precision, options.threshold);
  if (name == "recall") return std::make_unique<ThresholdMetric>(n, ThresholdMetric::Recall, options.threshold);
  if (name == "f1") return std::make_unique<ThresholdMetric>(n, ThresholdMetric::F1, options.threshold);
  raise<ConfigError>("no metric is called '{}'; there are {}", name, known_metrics());
}

bool higher_is_better(std::string_view metric) {
  WN_CHECK(std::find(metric_names().begin(), metric_names().end(), metric) != metric_names().end(), ConfigError,
           "no metric is called '{}'; there are {}", metric, known_metrics());
  WN_CHECK(metric != "copc", ConfigError, "metric copc is best at 1: neither higher nor lower is better");
  static const std::vector<std::string> lower = {"logloss", "ne", "brier", "ece", "ece_mass", "rmse", "mae"};
  return std::find(lower.begin(), lower.end(), metric) == lower.end();
}

}  // namespace winnow
