// Normalisations of rows; ops/batch_norm.h has that of columns. Element types f32 and f64. The gradients of gamma and
// beta are summed in blocks of rows fixed by the shape: their bits do not depend on the number of threads. Statistics
// that an operator saves for its gradient (mean, rstd) are not differentiable: backward() through them is an Error.
#pragma once
#include "core/graph.h"

namespace winnow {

// y = (x - mean) * rstd * gamma + beta over the last axis; x [.., n], gamma [n], beta [n];
// rstd = 1 / sqrt(var + eps), var biased (Ba, Kiros, Hinton 2016, "Layer Normalization").
// ShapeError unless n >= 1 and gamma and beta are [n].
Value layer_norm(Value x, Value gamma, Value beta, double eps = 1e-5, Loc loc = Loc::current());

// y = x / sqrt(mean(x^2) + eps) * gamma over the last axis; x [.., n], gamma [n]
// (Zhang, Sennrich 2019, "Root Mean Square Layer Normalization").
Value rms_norm(Value x, Value gamma, double eps = 1e-6, Loc loc = Loc::current());

}  // namespace winnow
