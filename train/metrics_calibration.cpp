#include "train/metrics_calibration.h"

#include <algorithm>
#include <cmath>

#include "train/metrics_auc.h"

namespace winnow {
namespace {

constexpr double kNormal95 = 1.959963984540054;

double probability_at(std::span<const uint64_t> sorted, size_t i) {
  return sigmoid(score_of(static_cast<uint32_t>(sorted[i] >> 32)));
}

// Upper edges of all bins but the last, which takes the rest.
std::vector<double> inner_edges(std::span<const uint64_t> sorted, Binning binning, int bins) {
  std::vector<double> edges;
  for (int b = 1; b < bins; ++b) {
    const double share = b * (1.0 / bins) * 100 / 100;  // rounded as numpy.percentile rounds it: edges may be rows
    if (binning == Binning::EqualWidth) {
      edges.push_back(share);
      continue;
    }
    const double position = static_cast<double>(sorted.size() - 1) * share;
    const auto i = static_cast<size_t>(position);
    const double t = std::fmod(position, 1);  // a difference could be contracted with the product above
    const double low = probability_at(sorted, i), high = probability_at(sorted, std::min(i + 1, sorted.size() - 1));
    edges.push_back(t < 0.5 ? low + (high - low) * t : high - (high - low) * (1 - t));
  }
  return edges;
}

class CalibrationErrorMetric final : public ScoredRowsMetric {
 public:
  CalibrationErrorMetric(std::string name, Binning binning, int bins)
      : ScoredRowsMetric(std::move(name)), binning_(binning), bins_(bins) {}

 private:
  MetricValue value_of(std::span<const uint64_t> sorted) const override {
    if (sorted.empty()) return {.name = name(), .value = {}, .reason = "no row with a weight above 0"};
    return {.name = name(), .value = calibration_of_sorted(sorted, binning_, bins_).ece};
  }
  Binning binning_;
  int bins_;
};

}  // namespace

double sigmoid(double logit) { return 1 / (1 + std::exp(-logit)); }

Interval wilson_interval(double rate, double trials) {
  const double z2 = kNormal95 * kNormal95 / trials;
  const double centre = (rate + z2 / 2) / (1 + z2);
  const double half = kNormal95 * std::sqrt((rate * (1 - rate) + z2 / 4) / trials) / (1 + z2);
  return {std::max(0.0, centre - half), std::min(1.0, centre + half)};
}

Calibration calibration_of_sorted(std::span<const uint64_t> sorted, Binning binning, int bins) {
  Calibration out;
  if (sorted.empty()) return out;
  std::vector<double> edges = inner_edges(sorted, binning, bins);
  edges.push_back(std::numeric_limits<double>::infinity());
  double all = 0;
  size_t i = 0;
  for (const double edge : edges) {
    double weight = 0, squares = 0, predicted = 0, positive = 0;
    const size_t begin = i;
    for (; i < sorted.size(); ++i) {
      const double p = probability_at(sorted, i);
      if (p > edge) break;
      const ScoredRow row = unpack_scored_row(sorted[i]);
      const double w = row.weight;
      weight += w;
      squares += w * w;
      predicted += w * p;
      if (row.positive) positive += w;
    }
    if (i == begin) continue;
    CalibrationBin bin{.mean_prediction = predicted / weight, .rate = positive / weight, .weight = weight};
    bin.rows = static_cast<int64_t>(i - begin);
    const Interval band = wilson_interval(bin.rate, weight * weight / squares);
    bin.low = band.low;
    bin.high = band.high;
    out.ece += weight * std::abs(bin.rate - bin.mean_prediction);
    all += weight;
    out.bins.push_back(bin);
  }
  out.ece /= all;
  return out;
}

std::unique_ptr<Metric> make_calibration_error(std::string name, Binning binning, int bins) {
  return std::make_unique<CalibrationErrorMetric>(std::move(name), binning, bins);
}

}  // namespace winnow
