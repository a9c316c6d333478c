// Binary pointwise operators with NumPy broadcasting: shapes are aligned at the last axis, an axis that is missing or
// has extent 1 is repeated. Both inputs f32 or both f64. Gradients are summed back to the inputs' shapes. Errors:
// ShapeError for shapes that do not broadcast, DTypeError for other or unequal element types.
#pragma once
#include "core/graph.h"

namespace winnow {

Value add(Value a, Value b, Loc loc = Loc::current());
Value sub(Value a, Value b, Loc loc = Loc::current());
Value mul(Value a, Value b, Loc loc = Loc::current());
Value div(Value a, Value b, Loc loc = Loc::current());
Value maximum(Value a, Value b, Loc loc = Loc::current());
Value minimum(Value a, Value b, Loc loc = Loc::current());

}  // namespace winnow
