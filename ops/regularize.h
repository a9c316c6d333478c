// Penalties as terms of the loss, rank 0. On looked-up rows they cost what the batch touches; for all rows of a
// row-sparse table use l2 of sparse_adam instead (a penalty on the table itself is an Error at backward()).
#pragma once
#include "core/graph.h"

namespace winnow {

Value l2_penalty(Value x, Loc loc = Loc::current());  // sum x^2 / 2; dx = dy * x
Value l1_penalty(Value x, Loc loc = Loc::current());  // sum |x|; dx = dy * sign(x), 0 at 0

}  // namespace winnow
