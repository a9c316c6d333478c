// Dropout (Srivastava et al. 2014), inverted: y = keep ? x * scale : 0, each element on its own.
//   x     f32 or f64, any shape
//   step  i64 []: the masks of two steps are independent
//   p     probability of dropping in [0, 1), rounded to q = round(65536 p) / 65536; scale = 1 / (1 - q), so that the
//         expectation is exactly x. Attributes seed and stream key the random bits (ops/detail/dropout_bits.h).
// The mask is not stored: the gradient, dropout_grad(dy, step), computes it again. p = 0 records no node.
// Errors: ShapeError for p outside [0, 1) or a step that is not rank 0; DTypeError.
#pragma once
#include "core/graph.h"

namespace winnow {

Value dropout(Value x, double p, Value step, Loc loc = Loc::current());

}  // namespace winnow
