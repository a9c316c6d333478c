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

// The end of a transformer's sublayer in one node, with one pass over memory in each direction:
//   sum = x + drop(z),  y = layer_norm(sum) as above; x, z, sum and y [.., n], gamma and beta [n]
// x is the residual stream and z the branch (with its bias: a matrix product adds it for free). Post-LN (BERT) goes on
// with y alone; pre-LN (GPT) takes y into the next branch and sum as the next x.
// drop is ops/dropout.h with p = dropout; elements are numbered as there. Saved for the gradient is sum only.
struct AddNorm {
  Value y, sum;
};
struct AddNormOptions {
  double eps = 1e-5;
  double dropout = 0;  // in [0, 1)
  Value step = {};     // i64 [], needed with dropout
};
AddNorm add_layer_norm(Value x, Value z, Value gamma, Value beta, const AddNormOptions& options,
                       Loc loc = Loc::current());

}  // namespace winnow
