// Normalisation of columns.
#pragma once
#include "core/graph.h"

namespace winnow {

// y = (x - mean) * rstd * gamma + beta; x [B, n], gamma, beta, running_mean, running_var [n],
// rstd = 1 / sqrt(var + eps) (Ioffe, Szegedy 2015, "Batch Normalization"). Element types f32 and f64.
// training: mean and (biased) variance of the live rows of this batch; running_mean and running_var, persistent values,
//   move in place: r <- (1 - momentum) * r + momentum * batch statistic, the variance there unbiased (n / (n - 1)).
//   A row is live when its weight is not 0: padding rows have weight 0. They are normalised as well, but do not enter
//   the statistics. Without a live row the running statistics are used and stay as they are.
// otherwise: mean and variance are the running ones; row_weight is not read.
// row_weight [B] may be an empty Value: all rows are live. It has no gradient, and neither have the running statistics.
// The statistics are summed in blocks of rows fixed by the shape: their bits do not depend on the number of threads.
Value batch_norm(Value x, Value gamma, Value beta, Value row_weight, Value running_mean, Value running_var,
                 bool training, double momentum = 0.1, double eps = 1e-5, Loc loc = Loc::current());

}  // namespace winnow
