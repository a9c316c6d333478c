// What a click model is judged by, in one call: every binary metric with its bootstrap interval.
#pragma once
#include <vector>

#include "core/bootstrap.h"
#include "train/metrics.h"

namespace winnow {

struct BinaryEvaluation {
  MetricOptions metrics = {};
  BootstrapOptions bootstrap = {};  // resamples = 0: values only, as for validation between epochs
  bool scores_only = false;         // the predictions order rows but are no logits: auc, gauc and pr_auc alone
};

// auc, gauc (when rows.users is given), pr_auc, logloss, ne, brier, copc, accuracy, precision, recall, f1, ece,
// ece_mass. rows.predictions are logits, labels 0 or 1. Intervals: rows are resampled, for gauc users; ece and ece_mass
// have none (calibration_of_sorted has bands). The same bits for any order of the rows and any number of
// threads. Errors as Metric::update and check_bootstrap.
std::vector<MetricValue> evaluate_binary(const MetricRows& rows, const BinaryEvaluation& options = {});

// nullptr when `values` has no metric of that name.
const MetricValue* find_metric(const std::vector<MetricValue>& values, std::string_view name);

}  // namespace winnow
