// Softmax and its relatives over the last axis, x [.., n], f32 or f64. Each row is shifted by its largest element, so
// no exponential overflows. NaN anywhere in a row makes the row NaN.
// ShapeError for a scalar; logsumexp also for n = 0.
#pragma once
#include "core/graph.h"

namespace winnow {

// y_j = e^(x_j) / sum_k e^(x_k). A row of -inf only (everything masked) gives zeros.
Value softmax(Value x, Loc loc = Loc::current());

// y_j = x_j - log sum_k e^(x_k). A row of -inf only gives -inf.
Value log_softmax(Value x, Loc loc = Loc::current());

// y = log sum_k e^(x_k), [..] or with keepdims [.., 1]. -inf for a row of -inf only, with a gradient of 0.
Value logsumexp(Value x, bool keepdims = false, Loc loc = Loc::current());

}  // namespace winnow
