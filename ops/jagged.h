// Jagged batches: values [capacity, d..] whose rows offsets[b] .. offsets[b + 1] - 1 belong to bag b; offsets i64 [B +
// 1], non-decreasing from offsets[0] >= 0. Rows outside every bag are dead: results do not depend on them, and outputs
// and gradients of that form are zero there. Offsets that break these rules are cut to [0, capacity] and never read or
// write outside an operand, but which rows a bag then has is unspecified.
#pragma once
#include "core/graph.h"
#include "ops/embedding_bag.h"  // Pooling

namespace winnow {

// y[b, t] = values[offsets[b] + t], or `padding` from the end of the bag on; y [B, max_len, d..]. The rows of a bag
// after its first max_len are left out, and have no gradient. Any element type (no gradient but for f32 and f64).
Value jagged_pad(Value values, Value offsets, int64_t max_len, double padding = 0, Loc loc = Loc::current());

// values[offsets[b] + t] = dense[b, t]: the inverse; dense [B, max_len, d..], values [capacity, d..]. Rows of a bag
// after its first max_len are zero.
Value jagged_unpad(Value dense, Value offsets, int64_t capacity, Loc loc = Loc::current());

// y[b] = sum, mean or maximum of the rows of bag b; y [B, d..]. An empty bag gives zeros. The gradient of the maximum
// goes to the first largest row, element by element; NaN is larger than anything.
Value jagged_pool(Value values, Value offsets, Pooling mode, Loc loc = Loc::current());

}  // namespace winnow
