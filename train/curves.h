// What a report draws of a click model: curves thinned to a size that a page can hold.
#pragma once
#include <utility>
#include <vector>

#include "train/metrics_calibration.h"

namespace winnow {

struct Curves {
  // From (0, 0) to (1, 1): false positive rate, true positive rate, falling threshold. Empty unless both classes have
  // weight. At most kCurvePoints: a point is kept where the curve has gone on by 2 / 198 of its length in the two axes.
  std::vector<std::pair<double, double>> roc;
  // (recall, precision) by falling threshold; a point is kept where recall has risen by 1 / 198. Empty without
  // positive.
  std::vector<std::pair<double, double>> pr;
  Calibration calibration;  // 20 bins of equally many rows
  // Weights of the rows by predicted probability and label: edges[b] <= p < edges[b + 1], the last bin closed; kBars
  // equal bars between the least and the greatest probability. Empty without a row.
  struct Histogram {
    std::vector<double> edges, positive, negative;
  } histogram;
  struct Confusion {
    double threshold = 0.5, tp = 0, fp = 0, fn = 0, tn = 0;  // weights
  } confusion;
};

constexpr int kCurvePoints = 200, kCurveBins = 20, kBars = 40;

// rows.predictions are logits. Errors as Metric::update.
Curves curves_of(const MetricRows& rows, double threshold = 0.5);

}  // namespace winnow
