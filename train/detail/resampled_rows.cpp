#include "train/detail/resampled_rows.h"

#include <cmath>

#include "train/detail/radix_sort.h"
#include "train/metrics_auc.h"
#include "train/metrics_calibration.h"

namespace winnow::detail {

ResampledRows::ResampledRows(std::span<const uint64_t> sorted, double threshold) {
  reserve(sorted.size());
  for (size_t i = sorted.size(); i > 0; --i) add(sorted[i - 1], i > 1 ? &sorted[i - 2] : nullptr, logit_of(threshold));
  unit_.resize(sorted.size());
  for (size_t i = 0; i < sorted.size(); ++i) unit_[i] = static_cast<uint32_t>(sorted.size() - 1 - i);
}

ResampledRows::ResampledRows(const MetricRows& rows, double threshold) {
  struct Row {
    uint64_t word;
    uint32_t unit;
  };
  std::vector<uint64_t> words;
  append_scored_rows(rows, words);
  std::vector<Row> order(words.size());
  for (size_t i = 0; i < words.size(); ++i) order[i] = {words[i], static_cast<uint32_t>(i)};
  radix_sort(order, 0, [](const Row& r) { return r.word; });
  reserve(order.size());
  for (size_t i = order.size(); i > 0; --i) {
    add(order[i - 1].word, i > 1 ? &order[i - 2].word : nullptr, logit_of(threshold));
    unit_.push_back(order[i - 1].unit);
  }
}

void ResampledRows::reserve(size_t rows) {
  weights_[0].reserve(rows);
  weights_[1].reserve(rows);
  terms_.reserve(rows);
  last_of_tie_.reserve(rows);
}

void ResampledRows::add(uint64_t word, const uint64_t* next, double cut) {
  const ScoredRow row = unpack_scored_row(word);
  const double z = score_of(row.score_key), y = row.positive ? 1 : 0, p = sigmoid(z);
  weights_[0].push_back(row.positive ? 0 : row.weight);
  weights_[1].push_back(row.positive ? row.weight : 0);
  terms_.push_back({row.weight * log_loss(z, y), row.weight * (p - y) * (p - y), row.weight * p});
  last_of_tie_.push_back(next == nullptr || *next >> 32 != word >> 32);
  if (z >= cut) called_ = terms_.size();
}

void ResampledRows::operator()(std::span<const uint32_t> counts, std::span<double> values) const {
  double pairs = 0, precision = 0, tied[2] = {0, 0}, above[2] = {0, 0}, called[2] = {0, 0};
  Terms sum{};
  for (size_t i = 0; i < last_of_tie_.size(); ++i) {
    const double count = counts[unit_[i]];
    tied[0] += count * weights_[0][i];
    tied[1] += count * weights_[1][i];
    sum.loss += count * terms_[i].loss;
    sum.square += count * terms_[i].square;
    sum.predicted += count * terms_[i].predicted;
    if (last_of_tie_[i] == 0) continue;
    pairs += tied[0] * (above[1] + 0.5 * tied[1]);
    for (int k = 0; k < 2; ++k) {
      above[k] += tied[k];
      if (i < called_) called[k] = above[k];
    }
    if (tied[1] > 0) precision += tied[1] * (above[1] / (above[0] + above[1]));
    tied[0] = tied[1] = 0;
  }
  const double negatives = above[0], positives = above[1], all = negatives + positives;
  const double fp = called[0], tp = called[1], fn = positives - tp, tn = negatives - fp;
  // 0 / 0 is NaN, which is how a resample without the statistic is marked
  values[kAuc] = pairs / (negatives * positives);
  values[kPrAuc] = precision / positives;
  values[kLogLoss] = sum.loss / all;
  const double entropy = binary_entropy(positives / all);
  values[kNe] = entropy > 0 ? sum.loss / all / entropy : std::numeric_limits<double>::quiet_NaN();
  values[kBrier] = sum.square / all;
  values[kCopc] = positives / sum.predicted;
  values[kAccuracy] = (tp + tn) / all;
  values[kPrecision] = tp / (tp + fp);
  values[kRecall] = tp / positives;
  values[kF1] = 2 * tp / (2 * tp + fp + fn);
}

}  // namespace winnow::detail
