// DeLong's covariance of the AUCs of models that scored the same rows, and what follows from it: an interval for one
// AUC and a test for the difference of two.
//
// With m positives x, n negatives y, psi(x, y) = 1, 1/2, 0 for x >, =, < y:
//   V10_r(x) = mean_y psi_r(x, y), V01_r(y) = mean_x psi_r(x, y), AUC_r = mean V10_r = mean V01_r of model r
//   covariance[r][s] = cov(V10_r, V10_s) / m + cov(V01_r, V01_s) / n, sample covariances
// (DeLong, DeLong, Clarke-Pearson 1988, "Comparing the Areas under Two or More Correlated Receiver Operating
// Characteristic Curves"), from one sort a model, O(rows log rows) as by midranks (Sun and Xu 2014, "Fast
// Implementation of DeLong's Algorithm").
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/bootstrap.h"
#include "train/metrics.h"

namespace winnow {

struct DeLong {
  std::vector<double> auc;         // [models]
  std::vector<double> covariance;  // [models, models]; empty when undefined
  std::string reason;              // why it is undefined, else empty
  bool defined() const { return !covariance.empty(); }
  double variance(size_t model) const { return covariance[model * auc.size() + model]; }
};

// scores[r]: those of model r, as long as labels. Undefined with a reason, never an error: fewer than two rows of a
// class; weights that differ between rows (the covariance is one of equally weighted rows; bootstrap instead). Rows of
// weight 0 are left out. Errors as Metric::update.
DeLong delong(std::span<const std::span<const float>> scores, std::span<const float> labels,
              std::span<const float> weights = {});

// log(auc / (1 - auc)) -+ z sqrt(variance) / (auc (1 - auc)), back on the scale of the AUC: it stays within [0, 1] and
// holds the truth more often than auc -+ z sqrt(variance) with few positives (Pepe 2003, "The Statistical Evaluation of
// Medical Tests for Classification and Prediction", section 5.2; measured in docs/evaluation.md). At 0 and 1, where the
// variance is 0 too: the AUC itself.
Interval delong_interval(double auc, double variance, double confidence = 0.95);

struct AucDifference {
  double difference;  // AUC of a - AUC of b
  Interval interval;
  double p_value;  // two-sided, of a difference of 0 by the normal distribution; 1 when the two rank alike
};
AucDifference delong_difference(const DeLong& all, size_t a, size_t b, double confidence = 0.95);

// Half width of the central `confidence` of the standard normal distribution: 1.959964 at 0.95.
double normal_quantile(double confidence);

}  // namespace winnow
