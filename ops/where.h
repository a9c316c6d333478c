// y = condition != 0 ? a : b, element by element, with NumPy broadcasting of all three.
//   condition  u8, or the type of a (a mask of zeros and ones; NaN counts as true)
//   a, b       both f32 or both f64
// Gradient: dy where the operand was taken, 0 elsewhere, summed over repeated axes; none for the condition.
// Errors: ShapeError for shapes that do not broadcast, DTypeError.
#pragma once
#include "core/graph.h"

namespace winnow {

Value where(Value condition, Value a, Value b, Loc loc = Loc::current());

}  // namespace winnow
