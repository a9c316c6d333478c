#include "tests/coverage.h"

#include <cmath>
#include <vector>

#include "core/rng.h"
#include "train/delong.h"
#include "train/metrics_auc.h"
#include "train/metrics_binary.h"
#include "train/metrics_calibration.h"

namespace winnow {
namespace {

bool holds(double low, double high, double truth) { return low <= truth && truth <= high; }

struct Counter {
  int64_t held = 0, all = 0;
  void add(bool h) {
    held += h;
    ++all;
  }
  double share() const { return all == 0 ? -1 : static_cast<double>(held) / static_cast<double>(all); }
};

void count_auc(const std::vector<float>& scores, const std::vector<float>& labels, double truth,
               const CoverageOptions& options, Counter& delong_held, Counter& bootstrap_held) {
  const std::span<const float> models[] = {scores};
  const DeLong d = delong(models, labels);
  if (!d.defined()) return;
  const Interval i = delong_interval(d.auc[0], d.variance(0));
  delong_held.add(holds(i.low, i.high, truth));
  if (options.resamples == 0) return;
  const auto values = evaluate_binary({scores, labels}, {.bootstrap = {.resamples = options.resamples}});
  bootstrap_held.add(holds(values[0].low, values[0].high, truth));
}

// P(p > p' | click of p, no click of p') for p = sigmoid(intercept + spread z), z standard normal.
double true_auc(double intercept, double spread) {
  constexpr int kPoints = 20000;
  double below = 0, pairs = 0, clicks = 0;
  for (int i = 0; i < kPoints; ++i) {
    const double z = -8 + 16 * (i + 0.5) / kPoints, density = std::exp(-z * z / 2);
    const double p = sigmoid(intercept + spread * z);
    pairs += density * p * (below + 0.5 * density * (1 - p));
    below += density * (1 - p);
    clicks += density * p;
  }
  return pairs / (below * clicks);
}

}  // namespace

Coverage binormal_coverage(double shift, double rate, const CoverageOptions& options) {
  Coverage out;
  out.truth = 0.5 * std::erfc(-shift / 2);
  Counter delong_held, bootstrap_held, pairs;
  for (int r = 0; r < options.repetitions; ++r) {
    Rng rng(options.seed, static_cast<uint64_t>(r));
    std::vector<float> scores, others, labels;
    for (int i = 0; i < options.rows; ++i) {
      labels.push_back(rng.uniform() < rate ? 1 : 0);
      const double common = rng.normal() * std::sqrt(0.5), mean = labels.back() * shift;
      scores.push_back(static_cast<float>(mean + common + rng.normal() * std::sqrt(0.5)));
      others.push_back(static_cast<float>(mean + common + rng.normal() * std::sqrt(0.5)));
    }
    count_auc(scores, labels, out.truth, options, delong_held, bootstrap_held);
    const std::span<const float> models[] = {scores, others};
    const DeLong d = delong(models, labels);
    if (!d.defined()) continue;
    const AucDifference difference = delong_difference(d, 0, 1);
    pairs.add(holds(difference.interval.low, difference.interval.high, 0));
  }
  out.delong = delong_held.share();
  out.bootstrap = bootstrap_held.share();
  out.pairs = pairs.share();
  return out;
}

Coverage click_coverage(double intercept, double spread, const CoverageOptions& options) {
  constexpr int kBins = 20;
  Coverage out;
  out.truth = true_auc(intercept, spread);
  Counter delong_held, bootstrap_held, bands;
  for (int r = 0; r < options.repetitions; ++r) {
    Rng rng(options.seed, static_cast<uint64_t>(r));
    std::vector<float> logits, labels;
    for (int i = 0; i < options.rows; ++i) {
      logits.push_back(static_cast<float>(intercept + spread * rng.normal()));
      labels.push_back(rng.uniform() < sigmoid(logits.back()) ? 1 : 0);
    }
    count_auc(logits, labels, out.truth, options, delong_held, bootstrap_held);
    std::vector<uint64_t> sorted;
    append_scored_rows({logits, labels}, sorted);
    sort_scored_rows(sorted);
    for (const CalibrationBin& bin : calibration_of_sorted(sorted, Binning::EqualMass, kBins).bins)
      bands.add(holds(bin.low, bin.high, bin.mean_prediction));
  }
  out.delong = delong_held.share();
  out.bootstrap = bootstrap_held.share();
  out.bands = bands.share();
  return out;
}

}  // namespace winnow
