// Trivial click predictors from the training split: what a model has to beat.
//   global_mean  p = mean label
//   item_rate    p = (clicks + smoothing * mean) / (shown + smoothing) of the row's item
//   item_count   the item's clicks, a score without a probability (auc and gauc alone)
// shown and clicks are sums of the rows' weights and of weight * label.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "train/metrics_binary.h"

namespace winnow {

struct ClickColumns {
  std::span<const int64_t> items;  // a dense index of the row's item; outside [0, items): unknown
  std::span<const float> labels;   // 0 or 1
  std::span<const float> weights = {};
  std::span<const int64_t> users = {};  // for gauc
};

class ItemPopularity {
 public:
  // ConfigError on a smoothing that is not above 0 or a negative number of items.
  explicit ItemPopularity(int64_t items, double smoothing = 20);
  // Adds training rows, any number of times. DataError on a label outside [0, 1] or a bad weight, ShapeError on unequal
  // lengths.
  void add(const ClickColumns& rows);

  double mean() const;                      // 0.5 before the first row
  double rate(int64_t item) const;          // the mean for an unknown item
  double clicks(int64_t item) const;        // 0 for an unknown item
  std::vector<float> click_counts() const;  // [items], the scores of a popularity ranking

 private:
  bool known(int64_t item) const { return item >= 0 && item < static_cast<int64_t>(items_.size()); }
  struct Counts {
    double clicks = 0, shown = 0;
  };
  std::vector<Counts> items_;
  Counts all_;
  double smoothing_;
  int64_t rows_ = 0;
};

struct BaselineResult {
  std::string name;  // global_mean, item_rate, item_count
  std::vector<MetricValue> metrics;
};

// The three of them on test rows, in the order above; errors as evaluate_binary.
std::vector<BaselineResult> evaluate_baselines(const ItemPopularity& popularity, const ClickColumns& test,
                                               const BinaryEvaluation& options = {});

}  // namespace winnow
