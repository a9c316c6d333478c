#include "train/metrics_binary.h"

#include <algorithm>
#include <cmath>

#include "train/metrics_auc.h"

namespace winnow {
namespace {

enum Statistic : int { kAuc, kLogLoss, kAccuracy, kPrecision, kRecall, kF1, kStatistics };
constexpr const char* kNames[kStatistics] = {"auc", "logloss", "accuracy", "precision", "recall", "f1"};

// The rows in order of score, split into the columns that a resample reads. One pass over counts gives every statistic.
class ResampledRows {
 public:
  ResampledRows(const MetricRows& rows, double threshold) {
    std::vector<uint64_t> words;
    for (size_t i = 0; i < rows.predictions.size(); ++i) {
      const float w = rows.weights.empty() ? 1.0f : rows.weights[i];
      if (w != 0) words.push_back(pack_scored_row(rows.predictions[i], rows.labels[i] > 0.5f, w));
    }
    // by label and weight too: what a resample draws must not depend on the order of the rows
    std::sort(words.begin(), words.end());
    const double cut = logit_of(threshold);
    called_from_ = words.size();
    for (size_t i = 0; i < words.size(); ++i) {
      const ScoredRow row = unpack_scored_row(words[i]);
      const float score = score_of(row.score_key);
      weights_[0].push_back(row.positive ? 0 : row.weight);
      weights_[1].push_back(row.positive ? row.weight : 0);
      losses_.push_back(row.weight * log_loss(score, row.positive ? 1 : 0));
      last_of_tie_.push_back(i + 1 == words.size() || words[i + 1] >> 32 != words[i] >> 32);
      if (score >= cut) called_from_ = std::min(called_from_, i);
    }
  }
  int64_t size() const { return static_cast<int64_t>(losses_.size()); }

  void operator()(std::span<const uint32_t> counts, std::span<double> values) const {
    double pairs = 0, loss = 0, tied[2] = {0, 0}, below[2] = {0, 0}, called[2][2] = {{0, 0}, {0, 0}};
    for (size_t i = 0; i < counts.size(); ++i) {
      const double count = counts[i];
      tied[0] += count * weights_[0][i];
      tied[1] += count * weights_[1][i];
      loss += count * losses_[i];
      if (last_of_tie_[i] == 0) continue;
      pairs += tied[1] * (below[0] + 0.5 * tied[0]);
      for (int k = 0; k < 2; ++k) {
        below[k] += tied[k];
        called[i >= called_from_ ? 1 : 0][k] += tied[k];
        tied[k] = 0;
      }
    }
    const double negatives = below[0], positives = below[1];
    const double tn = called[0][0], fn = called[0][1], fp = called[1][0], tp = called[1][1];
    // 0 / 0 is NaN, which is how a resample without the statistic is marked
    values[kAuc] = pairs / (negatives * positives);
    values[kLogLoss] = loss / (negatives + positives);
    values[kAccuracy] = (tp + tn) / (negatives + positives);
    values[kPrecision] = tp / (tp + fp);
    values[kRecall] = tp / positives;
    values[kF1] = 2 * tp / (2 * tp + fp + fn);
  }

 private:
  std::vector<float> weights_[2];
  std::vector<double> losses_;
  std::vector<uint8_t> last_of_tie_;
  size_t called_from_ = 0;
};

MetricValue measure(Metric& metric, const MetricRows& rows) {
  metric.update(rows);
  return metric.value();
}

void set_interval(MetricValue& value, const Interval& interval) {
  if (!value.value) return;
  value.low = interval.low;
  value.high = interval.high;
}

MetricValue evaluate_gauc(const MetricRows& rows, const BootstrapOptions& options) {
  GroupedAuc gauc;
  MetricValue value = measure(gauc, rows);
  if (options.resamples == 0) return value;
  std::vector<double> numerators, denominators;
  for (const UserAuc& u : gauc.users()) {
    numerators.push_back(u.auc * u.weight);
    denominators.push_back(u.weight);
  }
  set_interval(value, bootstrap_ratio(numerators, denominators, options));
  return value;
}

}  // namespace

std::vector<MetricValue> evaluate_binary(const MetricRows& rows, const BinaryEvaluation& options) {
  check_bootstrap(options.bootstrap);
  const int statistics = options.scores_only ? 1 : static_cast<int>(kStatistics);
  std::vector<MetricValue> values;
  for (int s = 0; s < statistics; ++s) values.push_back(measure(*make_metric(kNames[s], options.metrics), rows));
  if (options.bootstrap.resamples > 0) {
    const ResampledRows resampled(rows, options.metrics.threshold);
    const auto intervals = bootstrap(resampled.size(), kStatistics, std::cref(resampled), options.bootstrap);
    for (int s = 0; s < statistics; ++s) set_interval(values[s], intervals[s]);
  }
  if (!rows.users.empty()) values.insert(values.begin() + 1, evaluate_gauc(rows, options.bootstrap));
  return values;
}

const MetricValue* find_metric(const std::vector<MetricValue>& values, std::string_view name) {
  const auto it = std::find_if(values.begin(), values.end(), [&](const MetricValue& v) { return v.name == name; });
  return it == values.end() ? nullptr : &*it;
}

}  // namespace winnow
