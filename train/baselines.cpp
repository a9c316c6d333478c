#include "train/baselines.h"

#include <cmath>

namespace winnow {

ItemPopularity::ItemPopularity(int64_t items, double smoothing) : smoothing_(smoothing) {
  WN_CHECK(items >= 0 && smoothing > 0 && std::isfinite(smoothing), ConfigError,
           "baselines: {} items with smoothing {}; items must not be negative and smoothing must be above 0", items,
           smoothing);
  items_.resize(static_cast<size_t>(items));
}

void ItemPopularity::add(const ClickColumns& rows) {
  WN_CHECK(rows.items.size() == rows.labels.size(), ShapeError,
           "baselines: {} items with {} labels; the lengths must agree", rows.items.size(), rows.labels.size());
  const std::vector<float> no_predictions(rows.items.size());
  check_rows("baselines", {no_predictions, rows.labels, rows.weights, rows.users}, rows_, LabelRange::Probability);
  for (size_t i = 0; i < rows.items.size(); ++i) {
    const double w = rows.weights.empty() ? 1.0 : rows.weights[i];
    all_.clicks += w * rows.labels[i];
    all_.shown += w;
    if (!known(rows.items[i])) continue;
    Counts& item = items_[static_cast<size_t>(rows.items[i])];
    item.clicks += w * rows.labels[i];
    item.shown += w;
  }
  rows_ += static_cast<int64_t>(rows.items.size());
}

double ItemPopularity::mean() const { return all_.shown > 0 ? all_.clicks / all_.shown : 0.5; }

double ItemPopularity::rate(int64_t item) const {
  if (!known(item)) return mean();
  const Counts& c = items_[static_cast<size_t>(item)];
  return (c.clicks + smoothing_ * mean()) / (c.shown + smoothing_);
}

double ItemPopularity::clicks(int64_t item) const { return known(item) ? items_[static_cast<size_t>(item)].clicks : 0; }

std::vector<float> ItemPopularity::click_counts() const {
  std::vector<float> counts;
  for (const Counts& c : items_) counts.push_back(static_cast<float>(c.clicks));
  return counts;
}

std::vector<BaselineResult> evaluate_baselines(const ItemPopularity& popularity, const ClickColumns& test,
                                               const BinaryEvaluation& options) {
  std::vector<float> mean, rate, count;
  for (int64_t item : test.items) {
    mean.push_back(static_cast<float>(logit_of(popularity.mean())));
    rate.push_back(static_cast<float>(logit_of(popularity.rate(item))));
    count.push_back(static_cast<float>(popularity.clicks(item)));
  }
  BinaryEvaluation by_score = options;
  by_score.scores_only = true;
  const auto rows = [&](const std::vector<float>& predictions) {
    return MetricRows{predictions, test.labels, test.weights, test.users};
  };
  return {{"global_mean", evaluate_binary(rows(mean), options)},
          {"item_rate", evaluate_binary(rows(rate), options)},
          {"item_count", evaluate_binary(rows(count), by_score)}};
}

}  // namespace winnow
