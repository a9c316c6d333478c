// y = x with elements converted, between f32, f64, bf16, i32, i64 and u8.
//   to a float    nearest, ties to even (f64 to bf16 by way of f32)
//   to an integer towards zero; values beyond the range become its nearest end, NaN becomes 0
// Gradient: dy converted to the type of x; none through integers.
#pragma once
#include "core/graph.h"

namespace winnow {

Value cast(Value x, DType dtype, Loc loc = Loc::current());  // x itself when it has that type

}  // namespace winnow
