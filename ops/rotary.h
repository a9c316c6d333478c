// Rotary positions (Su et al. 2021, "RoFormer", section 3.2) of queries and keys, before jagged_attention:
//   qkv        f32 or f64 [T, 3 H D], D even: as in ops/jagged_attention.h
//   positions  i64 [T]: a token's place p; below 0: the row is copied
//   y [T, 3 H D]: in each head of q and k, for i < D / 2 and angle a = p base^(-2 i / D), the pair (x_i, x_{i + D / 2})
//            turned by a (the halves of GPT-NeoX, not RoFormer's neighbours); v is copied
// A score then depends on the distance of two tokens alone. The gradient is the turn back.
// Errors: ShapeError for widths, heads, an odd D; base must be at least 1.
#pragma once
#include "core/graph.h"

namespace winnow {

Value rotary(Value qkv, Value positions, int64_t heads, double base = 10000, Loc loc = Loc::current());

}  // namespace winnow
