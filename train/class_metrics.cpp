#include "train/class_metrics.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace winnow {
namespace {

enum Statistic : int { kAccuracy, kMacroF1, kMicroF1, kTopK, kLogloss, kStatistics };
constexpr const char* kNames[] = {"accuracy", "macro_f1", "micro_f1", "top_k_accuracy", "logloss"};

bool exact(const ClassRows& rows, int64_t r) { return std::ranges::equal(rows.labels_of(r), rows.predicted_of(r)); }

bool known(const ClassRows& rows, Statistic s) {
  switch (s) {
    case kMicroF1: return rows.multi;
    case kTopK: return !rows.top_k.empty();
    case kLogloss: return !rows.logloss.empty();
    default: return true;
  }
}

// All statistics of rows drawn counts[r] times.
void compute(const ClassRows& rows, std::span<const uint32_t> counts, std::span<double> values) {
  std::vector<double> right(static_cast<size_t>(rows.classes)), both(right.size());
  double n = 0, exact_rows = 0, top = 0, loss = 0, unseen = 0;
  for (int64_t r = 0; r < rows.rows(); ++r) {
    const double w = counts[static_cast<size_t>(r)];
    if (w == 0) continue;
    n += w;
    exact_rows += exact(rows, r) ? w : 0;
    if (!rows.top_k.empty()) top += rows.top_k[static_cast<size_t>(r)] != 0 ? w : 0;
    if (!rows.logloss.empty()) loss += w * rows.logloss[static_cast<size_t>(r)];
    const auto predicted = rows.predicted_of(r);
    for (const int32_t c : predicted) both[static_cast<size_t>(c)] += w;
    for (const int32_t c : rows.labels_of(r)) {
      if (c < 0) {
        unseen += w;
        continue;
      }
      both[static_cast<size_t>(c)] += w;
      if (std::ranges::find(predicted, c) != predicted.end()) right[static_cast<size_t>(c)] += w;
    }
  }
  double f1 = 0, present = 0, all_right = 0, all_both = unseen;
  for (size_t c = 0; c < both.size(); ++c) {
    if (both[c] == 0) continue;
    f1 += 2 * right[c] / both[c];
    ++present;
    all_right += right[c];
    all_both += both[c];
  }
  values[kAccuracy] = exact_rows / n;
  values[kMacroF1] = present > 0 ? f1 / present : 0;
  values[kMicroF1] = all_both > 0 ? 2 * all_right / all_both : 0;
  values[kTopK] = top / n;
  values[kLogloss] = loss / n;
}

}  // namespace

std::span<const int32_t> ClassRows::labels_of(int64_t row) const {
  const auto r = static_cast<size_t>(row);
  return std::span(labels).subspan(static_cast<size_t>(label_begin[r]),
                                   static_cast<size_t>(label_begin[r + 1] - label_begin[r]));
}
std::span<const int32_t> ClassRows::predicted_of(int64_t row) const {
  const auto r = static_cast<size_t>(row);
  return std::span(predicted).subspan(static_cast<size_t>(predicted_begin[r]),
                                      static_cast<size_t>(predicted_begin[r + 1] - predicted_begin[r]));
}
void ClassRows::add(std::span<const int32_t> labels_of_row, std::span<const int32_t> predicted_of_row) {
  labels.insert(labels.end(), labels_of_row.begin(), labels_of_row.end());
  predicted.insert(predicted.end(), predicted_of_row.begin(), predicted_of_row.end());
  label_begin.push_back(static_cast<int64_t>(labels.size()));
  predicted_begin.push_back(static_cast<int64_t>(predicted.size()));
}

std::vector<MetricValue> class_metrics(const ClassRows& rows, const BootstrapOptions& bootstrap_options) {
  std::vector<double> values(kStatistics);
  const std::vector<uint32_t> once(static_cast<size_t>(rows.rows()), 1);
  if (rows.rows() > 0) compute(rows, once, values);
  std::vector<Interval> intervals;
  if (bootstrap_options.resamples > 0)
    intervals = bootstrap(
        rows.rows(), kStatistics, [&](auto counts, auto out) { compute(rows, counts, out); }, bootstrap_options);
  std::vector<MetricValue> out;
  for (int s = 0; s < kStatistics; ++s) {
    if (!known(rows, static_cast<Statistic>(s))) continue;
    const auto i = static_cast<size_t>(s);
    MetricValue m{.name = kNames[i], .value = {}};
    if (rows.rows() == 0)
      m.reason = "no row";
    else
      m.value = values[i];
    if (m.value && !intervals.empty()) m.low = intervals[i].low, m.high = intervals[i].high;
    out.push_back(std::move(m));
  }
  return out;
}

std::vector<ClassCounts> class_counts(const ClassRows& rows) {
  std::vector<ClassCounts> counts(static_cast<size_t>(rows.classes));
  for (int64_t r = 0; r < rows.rows(); ++r) {
    const auto predicted = rows.predicted_of(r);
    for (const int32_t c : predicted) ++counts[static_cast<size_t>(c)].predicted;
    for (const int32_t c : rows.labels_of(r)) {
      if (c < 0) continue;
      ++counts[static_cast<size_t>(c)].labelled;
      counts[static_cast<size_t>(c)].right += std::ranges::find(predicted, c) != predicted.end();
    }
  }
  return counts;
}

std::vector<ConfusedPair> confused_pairs(const ClassRows& rows, size_t most) {
  std::map<std::pair<int32_t, int32_t>, int64_t> counts;
  for (int64_t r = 0; r < rows.rows(); ++r) {
    const auto labels = rows.labels_of(r), predicted = rows.predicted_of(r);
    if (labels.size() == 1 && predicted.size() == 1 && labels[0] >= 0 && labels[0] != predicted[0])
      ++counts[{labels[0], predicted[0]}];
  }
  std::vector<ConfusedPair> pairs;
  for (const auto& [pair, n] : counts) pairs.push_back({pair.first, pair.second, n});
  std::ranges::stable_sort(pairs, std::greater<>(), &ConfusedPair::rows);
  pairs.resize(std::min(pairs.size(), most));
  return pairs;
}

}  // namespace winnow
