// Optimizers of row-sparse tables, fused with the sum over occurrences: each unique row is updated exactly once from
//   g = clip(scale * sum of coef * dy, -clip_value, clip_value) + l2 * w + l1 * sign(w)
// Rows may be bf16; state is f32 (f64 with f64 rows), and so is arithmetic. Every function mutates table and state.
#pragma once
#include <string>
#include <vector>

#include "ops/optimizers.h"
#include "ops/segments.h"

namespace winnow {

struct RowOptions {
  double l1 = 0, l2 = 0;             // on touched rows; sparse_adam: on every row. ftrl: its proximal terms
  double clip_value = 0;             // 0: none
  bool stochastic_rounding = false;  // of bf16 rows: keyed by (seed, stream, step, row, column). Otherwise to nearest
};

// State tensors that an operator wants beside a table [R, D], in order, with the value to start from. `initial` is
// 0, and for accumulators of squares whatever the caller prefers (PyTorch 0, TensorFlow 0.1, FTRL 0.1).
std::vector<StateSpec> sparse_state(const std::string& op, const TensorSpec& table);

// w -= lr * g
void sparse_sgd(Value table, const RowSegments& rows, const StepScalars& step, const RowOptions& options = {},
                Loc loc = Loc::current());
// s += g^2; w -= lr * g / (sqrt(s) + eps). Duchi et al. 2011. s [R, D]
void sparse_adagrad(Value table, Value sum, const RowSegments& rows, const StepScalars& step, double eps = 1e-10,
                    const RowOptions& options = {}, Loc loc = Loc::current());
// s += mean(g^2); w -= lr * g / (sqrt(s) + eps). s [R]
void sparse_rowwise_adagrad(Value table, Value sum, const RowSegments& rows, const StepScalars& step,
                            double eps = 1e-10, const RowOptions& options = {}, Loc loc = Loc::current());
// Adam (Kingma and Ba 2015) on touched rows only, bias correction by the global step; moments of other rows stay.
// weight_decay: decoupled (Loshchilov and Hutter 2019), w -= lr * weight_decay * w first. m, v [R, D]
void sparse_adam_lazy(Value table, Value m, Value v, const RowSegments& rows, const StepScalars& step,
                      const AdamOptions& adam = {}, const RowOptions& options = {}, Loc loc = Loc::current());
// The same rule on every row of the table at every step, as on a dense gradient that is zero where no id fell: one
// streaming pass with the sparse gradient merged in. First moments below 1e-30 become 0, which keeps rows that are
// no longer seen out of the slow denormal range.
void sparse_adam(Value table, Value m, Value v, const RowSegments& rows, const StepScalars& step,
                 const AdamOptions& adam = {}, const RowOptions& options = {}, Loc loc = Loc::current());
// FTRL-Proximal, McMahan et al. 2013, algorithm 1, alpha = lr. z, n [R, D]; l1 and l2 of `options` are its lambdas.
//   sigma = (sqrt(n + g^2) - sqrt(n)) / lr; z += g - sigma * w; n += g^2
//   w = 0 if |z| <= l1 else -(z - l1 * sign(z)) / ((beta + sqrt(n)) / lr + l2)
void sparse_ftrl(Value table, Value z, Value n, const RowSegments& rows, const StepScalars& step, double beta = 1,
                 const RowOptions& options = {}, Loc loc = Loc::current());

// Operators sparse_<name>: inputs table, state.., unique_rows, starts, count, bag, coef, dy, lr, step, scale.

}  // namespace winnow
