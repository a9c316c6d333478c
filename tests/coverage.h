// How often 95 % intervals hold the truth, over data sets drawn from distributions whose AUC is known.
#pragma once
#include <cstdint>
#include <string>

namespace winnow {

struct CoverageOptions {
  int repetitions = 200;
  int rows = 500;
  int resamples = 200;
  uint64_t seed = 1;
};

struct Coverage {                      // shares are -1 where nothing was counted
  double truth = 0;                    // AUC
  double delong = -1, bootstrap = -1;  // share of data sets whose interval of the AUC holds the truth
  double pairs = -1;                   // of DeLong's intervals of the difference of two equally good models
  double bands = -1;                   // share of calibration bins whose band holds the mean prediction (clicks only)
};

// A row is positive with probability `rate`; scores are N(0, 1) of negatives, N(shift, 1) of positives:
// AUC = Phi(shift / sqrt 2). The second model of the pairs has scores of the same distributions, correlated by 1/2.
Coverage binormal_coverage(double shift, double rate, const CoverageOptions& options);
// Clicks drawn from p = sigmoid(intercept + spread z), z ~ N(0, 1), and scored by p itself: a perfectly calibrated
// model. The truth is P(p > p' | click, no click'), by numerical integration over z.
Coverage click_coverage(double intercept, double spread, const CoverageOptions& options);

}  // namespace winnow
