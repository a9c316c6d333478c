// Rows of length 1 over the last axis, x [.., n], f32 or f64:
//   y = x / max(|x|, eps)
// A row of zeros stays zeros, and its gradient is dy / eps. ShapeError: a scalar, n = 0, eps outside (0, 1).
#pragma once
#include "core/graph.h"

namespace winnow {

Value l2_normalize(Value x, double eps = 1e-12, Loc loc = Loc::current());

}  // namespace winnow
