// The metrics of a click model over bootstrap resamples: rows in order of score, split into the columns that a resample
// reads, so that one pass over the counts gives every statistic.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "train/metrics.h"

namespace winnow::detail {

enum Statistic : int { kAuc, kPrAuc, kLogLoss, kNe, kBrier, kCopc, kAccuracy, kPrecision, kRecall, kF1, kStatistics };
constexpr const char* kStatisticNames[kStatistics] = {"auc",  "pr_auc",   "logloss",   "ne",     "brier",
                                                      "copc", "accuracy", "precision", "recall", "f1"};

class ResampledRows {
 public:
  // Units are the sorted rows: what is drawn does not depend on the order of the rows.
  ResampledRows(std::span<const uint64_t> sorted, double threshold);
  // Units are the rows of weight above 0 as they stand, the same for every model that scored them. Unchecked.
  ResampledRows(const MetricRows& rows, double threshold);

  int64_t size() const { return static_cast<int64_t>(last_of_tie_.size()); }
  // Writes values[kStatistics], NaN where the resample has none.
  void operator()(std::span<const uint32_t> counts, std::span<double> values) const;

 private:
  struct Terms {
    double loss, square, predicted;  // of one row, times its weight
  };
  void reserve(size_t rows);
  void add(uint64_t word, const uint64_t* next, double cut);
  std::vector<float> weights_[2];  // by label
  std::vector<Terms> terms_;
  std::vector<uint8_t> last_of_tie_;  // of its score, from the highest down
  std::vector<uint32_t> unit_;        // of the row at each position
  size_t called_ = 0;                 // rows before this position are called positive
};

}  // namespace winnow::detail
