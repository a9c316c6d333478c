// Metrics of class predictions, single- and multi-label, with bootstrap intervals over rows.
//
//   accuracy         share of rows whose predicted classes are exactly those of the label
//   macro_f1         mean over classes c that a row has or is given of F1_c = 2 tp_c / (predicted_c + labelled_c)
//   micro_f1         2 sum_c tp_c / sum_c (predicted_c + labelled_c); multi-label only
//   top_k_accuracy   share of rows whose label is among the k highest outputs; single label only
//   logloss          mean of -log p(label), p clipped to [1e-15, 1]; multi-label: mean over rows and classes
// A label that training never saw counts as missed: it is in no class.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/bootstrap.h"
#include "train/metrics.h"

namespace winnow {

// Rows with their classes, labelled and predicted; -1: a label that no class stands for.
struct ClassRows {
  int64_t classes = 0;
  bool multi = false;
  std::vector<int64_t> label_begin = {0}, predicted_begin = {0};  // [N + 1]
  std::vector<int32_t> labels, predicted;
  std::vector<double> logloss;  // [N]; empty: unknown
  std::vector<uint8_t> top_k;   // [N]; empty: unknown
  int64_t rows() const { return static_cast<int64_t>(label_begin.size()) - 1; }
  std::span<const int32_t> labels_of(int64_t row) const;
  std::span<const int32_t> predicted_of(int64_t row) const;
  void add(std::span<const int32_t> labels_of_row, std::span<const int32_t> predicted_of_row);
};

// In the order above; those that are unknown are left out. resamples 0: no intervals. reason where there is no row.
std::vector<MetricValue> class_metrics(const ClassRows& rows, const BootstrapOptions& bootstrap);

struct ClassCounts {
  int64_t labelled = 0, predicted = 0, right = 0;
  double precision() const { return predicted > 0 ? static_cast<double>(right) / static_cast<double>(predicted) : 0; }
  double recall() const { return labelled > 0 ? static_cast<double>(right) / static_cast<double>(labelled) : 0; }
  double f1() const {
    return labelled + predicted > 0 ? 2.0 * static_cast<double>(right) / static_cast<double>(labelled + predicted) : 0;
  }
};
std::vector<ClassCounts> class_counts(const ClassRows& rows);  // [classes]

// Single label: how often rows of one class were given another, the most frequent pairs first, ties by class.
struct ConfusedPair {
  int32_t label, predicted;
  int64_t rows;
};
std::vector<ConfusedPair> confused_pairs(const ClassRows& rows, size_t most);

}  // namespace winnow
