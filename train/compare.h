// Runs compared on the rows that all of them predicted (predictions.safetensors, train/predictions.h).
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/bootstrap.h"
#include "train/metrics.h"

namespace winnow {

struct CompareOptions {
  std::vector<std::string> metrics = {"auc", "logloss", "pr_auc", "ne"};  // also brier
  BootstrapOptions bootstrap = {.seed = 1};                               // at least 200 resamples
  double level = 0.05;                                                    // of significance, after Holm's correction
};

struct ComparedRun {
  std::string run, model;                   // directory, model name
  std::vector<MetricValue> metrics = {};    // as CompareOptions::metrics, with bootstrap intervals
  std::optional<Interval> auc_delong = {};  // when auc is compared and DeLong's covariance is defined
};

// One pair of runs in one metric by one test.
//   bootstrap  paired: both runs see the same resampled rows; p-value of bootstrap_p_value
//   delong     auc only: train/delong.h
struct ComparedPair {
  size_t a = 0, b = 0;  // positions in runs, a < b
  std::string metric, test;
  std::optional<double> difference = {};  // of a - of b; nothing where a metric is undefined: `reason`
  Interval interval = {};                 // 95 %; NaN when there is none
  double p_value = 1;
  double p_holm = 1;         // corrected over all pairs of this metric and test (Holm 1979)
  bool significant = false;  // p_holm < level
  std::string reason = {};
};

struct Comparison {
  std::string split;
  int64_t rows = 0;
  int resamples = 0;
  double level = 0.05;
  std::vector<std::string> metrics;
  std::vector<ComparedRun> runs;    // as given
  std::vector<int> best;            // by metric: position of the best run, the first of equals; -1: none is defined
  std::vector<ComparedPair> pairs;  // by metric, test, a, b
  std::string note;                 // what limits the result; empty: nothing
  std::string str() const;
  std::string json() const;
};

// 2 to 64 run directories. ConfigError: too few or too many runs, a metric that cannot be compared, no resamples;
// IoError: a run without predictions (the text says how to write them); DataError: runs evaluated on different rows,
// weights or splits.
Comparison compare_runs(const std::vector<std::string>& runs, const CompareOptions& options = {});

// Holm's step-down correction: the k-th smallest of m p-values times m - k + 1, made increasing, at most 1.
std::vector<double> holm(const std::vector<double>& p_values);

}  // namespace winnow
