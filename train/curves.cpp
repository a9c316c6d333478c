#include "train/curves.h"

#include <algorithm>
#include <cmath>

#include "train/metrics_auc.h"

namespace winnow {
namespace {

constexpr double kStep = 1.0 / (kCurvePoints - 2);

double probability_of(uint64_t word) { return sigmoid(score_of(static_cast<uint32_t>(word >> 32))); }

// f(false positives, true positives): weights of the rows at or above each distinct score, from the highest down.
template <class F>
void visit_thresholds(std::span<const uint64_t> sorted, F&& f) {
  double above[2] = {0, 0};
  for (size_t i = sorted.size(); i > 0;) {
    const uint64_t key = sorted[i - 1] >> 32;
    for (; i > 0 && sorted[i - 1] >> 32 == key; --i) {
      const ScoredRow row = unpack_scored_row(sorted[i - 1]);
      above[row.positive ? 1 : 0] += row.weight;
    }
    f(above[0], above[1]);
  }
}

void draw_curves(std::span<const uint64_t> sorted, Curves& curves) {
  const SortedAreas areas = areas_of_sorted(sorted);
  const double negatives = areas.negatives, positives = areas.positives;
  std::pair<double, double> last{0, 0};
  double last_recall = -1;
  if (areas.auc) curves.roc.emplace_back(0, 0);
  visit_thresholds(sorted, [&](double fp, double tp) {
    const bool end = fp == negatives && tp == positives;
    if (areas.auc) {
      const std::pair<double, double> at{fp / negatives, tp / positives};
      if (end || at.first + at.second - last.first - last.second >= 2 * kStep) curves.roc.push_back(last = at);
    }
    if (!areas.pr_auc) return;
    const double recall = tp / positives;
    // behind full recall the curve only falls
    const bool full = last_recall < 1 && recall == 1;
    if (!full && (tp == 0 || recall - std::max(last_recall, 0.0) < kStep)) return;
    curves.pr.emplace_back(recall, tp / (tp + fp));
    last_recall = recall;
  });
}

Curves::Histogram histogram_of(std::span<const uint64_t> sorted) {
  Curves::Histogram h;
  if (sorted.empty()) return h;
  const double least = probability_of(sorted.front()), most = probability_of(sorted.back());
  const int bars = most > least ? kBars : 1;
  const double width = most > least ? (most - least) / bars : 1;
  for (int b = 0; b <= bars; ++b) h.edges.push_back(b == bars && bars > 1 ? most : least + b * width);
  h.positive.resize(static_cast<size_t>(bars));
  h.negative.resize(static_cast<size_t>(bars));
  for (const uint64_t word : sorted) {
    const ScoredRow row = unpack_scored_row(word);
    const auto bar = std::min(static_cast<size_t>((probability_of(word) - least) / width), h.positive.size() - 1);
    (row.positive ? h.positive : h.negative)[bar] += row.weight;
  }
  return h;
}

Curves::Confusion confusion_of(std::span<const uint64_t> sorted, double threshold) {
  Curves::Confusion c{.threshold = threshold};
  const double cut = logit_of(threshold);
  for (const uint64_t word : sorted) {
    const ScoredRow row = unpack_scored_row(word);
    const bool called = score_of(row.score_key) >= cut;
    (called ? row.positive ? c.tp : c.fp : row.positive ? c.fn : c.tn) += row.weight;
  }
  return c;
}

}  // namespace

Curves curves_of(const MetricRows& rows, double threshold) {
  check_rows("curves", rows, 0, LabelRange::Binary);
  std::vector<uint64_t> sorted;
  append_scored_rows(rows, sorted);
  sort_scored_rows(sorted);
  Curves curves;
  draw_curves(sorted, curves);
  curves.calibration = calibration_of_sorted(sorted, Binning::EqualMass, kCurveBins);
  curves.histogram = histogram_of(sorted);
  curves.confusion = confusion_of(sorted, threshold);
  return curves;
}

}  // namespace winnow
