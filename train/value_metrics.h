// Metrics of predicted numbers, with bootstrap intervals over rows.
//   rmse      sqrt(mean (p - y)^2)
//   mae       mean |p - y|
//   r2        1 - sum (p - y)^2 / sum (y - mean y)^2; undefined when all y are equal
//   spearman  correlation of the ranks of p and y, ties at their mean rank; undefined when all p or all y are equal
#pragma once
#include <span>
#include <string>
#include <vector>

#include "core/bootstrap.h"
#include "train/metrics.h"

namespace winnow {

std::vector<MetricValue> value_metrics(std::span<const double> predictions, std::span<const double> values,
                                       const BootstrapOptions& bootstrap);

// Rows by prediction, in ten parts of equally many rows.
struct ValueDecile {
  int64_t rows = 0;
  double mean_prediction = 0, mean_value = 0;
  double low = 0, high = 0;  // mean_value -+ 1.96 standard errors
};
std::vector<ValueDecile> value_deciles(std::span<const double> predictions, std::span<const double> values);

}  // namespace winnow
