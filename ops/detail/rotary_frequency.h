#pragma once
#include <cmath>
#include <cstdint>

#include "core/math.h"

namespace winnow::detail {

// The angle between neighbouring places of pair i of `half` (ops/rotary.h), in double: a float angle of a far place has
// lost its fraction.
WN_HD double rotary_frequency(double base, int64_t i, int64_t half) {
  return std::pow(base, -static_cast<double>(i) / static_cast<double>(half));
}

}  // namespace winnow::detail
