#include "train/metrics_binary.h"

#include <algorithm>
#include <cmath>

#include "train/detail/resampled_rows.h"
#include "train/metrics_auc.h"
#include "train/metrics_calibration.h"

namespace winnow {
namespace {

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

// Without interval: the rates of resampled rows scatter around those of the rows, so that a bootstrap of the error lies
// above it.
void append_calibration_errors(std::span<const uint64_t> sorted, int bins, std::vector<MetricValue>& values) {
  for (const auto& [name, binning] : {std::pair{"ece", Binning::EqualWidth}, {"ece_mass", Binning::EqualMass}}) {
    MetricValue value{.name = name, .value = {}};
    if (sorted.empty())
      value.reason = "no row with a weight above 0";
    else
      value.value = calibration_of_sorted(sorted, binning, bins).ece;
    values.push_back(std::move(value));
  }
}

}  // namespace

std::vector<MetricValue> evaluate_binary(const MetricRows& rows, const BinaryEvaluation& options) {
  check_bootstrap(options.bootstrap);
  check_rows("auc", rows, 0, LabelRange::Binary);
  std::vector<uint64_t> sorted;
  append_scored_rows(rows, sorted);
  sort_scored_rows(sorted);
  const SortedAreas areas = areas_of_sorted(sorted);
  std::vector<MetricValue> values = {auc_value(areas, sorted.size()), pr_auc_value(areas, sorted.size())};
  if (!options.scores_only)
    for (const char* name : {"logloss", "ne", "brier", "copc", "accuracy", "precision", "recall", "f1"})
      values.push_back(measure(*make_metric(name, options.metrics), rows));
  if (options.bootstrap.resamples > 0) {
    const detail::ResampledRows resampled(sorted, options.metrics.threshold);
    const auto intervals = bootstrap(resampled.size(), detail::kStatistics, std::cref(resampled), options.bootstrap);
    for (size_t s = 0; s < values.size(); ++s) set_interval(values[s], intervals[s]);
  }
  if (!options.scores_only) append_calibration_errors(sorted, options.metrics.bins, values);
  if (!rows.users.empty()) values.insert(values.begin() + 1, evaluate_gauc(rows, options.bootstrap));
  return values;
}

const MetricValue* find_metric(const std::vector<MetricValue>& values, std::string_view name) {
  const auto it = std::find_if(values.begin(), values.end(), [&](const MetricValue& v) { return v.name == name; });
  return it == values.end() ? nullptr : &*it;
}

}  // namespace winnow
