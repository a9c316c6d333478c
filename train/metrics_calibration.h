// How well predicted probabilities agree with what happened.
//
//   calibration curve   rows put into bins by p = sigmoid(logit); a bin's mean prediction sum w p / sum w and its rate
//                       sum w y / sum w (DeGroot and Fienberg 1983, "The Comparison and Evaluation of Forecasters")
//   ece                 sum over bins of (bin's weight / all) |rate - mean prediction|
//                       (Naeini, Cooper, Hauskrecht 2015, "Obtaining Well Calibrated Probabilities Using Bayesian
//                       Binning")
// Bins [lower, upper] hold lower < p <= upper, the first also p = lower; empty ones are left out.
//   EqualWidth          edges 0, 1 / bins, 2 / bins, ..., 1
//   EqualMass           edges at the quantiles 0, 1 / bins, ..., 1 of p over the rows (linear interpolation; rows count
//                       once whatever their weight, those of weight 0 not at all)
// The band of a bin's rate is Wilson's 95 % score interval (Wilson 1927) for sum w y / sum w with (sum w)^2 / sum w^2
// rows; when all rows have one weight these are the bin's rows. A calibrated model's mean prediction lies in the band
// of at least about 95 % of the bins.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/bootstrap.h"
#include "train/metrics.h"

namespace winnow {

enum class Binning : uint8_t { EqualWidth, EqualMass };

struct CalibrationBin {
  double mean_prediction = 0, rate = 0;
  double low = 0, high = 0;  // band of the rate
  double weight = 0;
  int64_t rows = 0;
};

struct Calibration {
  double ece = 0;  // 0 without a row
  std::vector<CalibrationBin> bins;
};

// Of rows sorted by score (metrics_auc.h), whose scores are logits. bins >= 1.
Calibration calibration_of_sorted(std::span<const uint64_t> sorted, Binning binning, int bins);

// 95 % band of a rate seen in `trials` > 0 independent trials.
Interval wilson_interval(double rate, double trials);

double sigmoid(double logit);

// The metrics ece and ece_mass of make_metric.
std::unique_ptr<Metric> make_calibration_error(std::string name, Binning binning, int bins);

}  // namespace winnow
