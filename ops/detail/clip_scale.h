#pragma once
#include <limits>

#include "core/math.h"

namespace winnow::detail {

// min(1, max_norm / (norm + 1e-6)); NaN for a norm that is not finite: 0 for an infinite one would make 0 * inf.
WN_HD double clip_scale(double norm, double max_norm) {
  constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
  const double scale = max_norm / (norm + 1e-6);
  return math::abs(norm) <= std::numeric_limits<double>::max() ? (scale < 1 ? scale : 1) : kNaN;
}

}  // namespace winnow::detail
