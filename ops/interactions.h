// Feature interactions of click models. Each gradient is an operator of its own, <name>_grad.
#pragma once
#include "core/graph.h"

namespace winnow {

// DLRM (Naumov et al. 2019): x [B, F, D] -> [B, F (F - 1) / 2], <x_i, x_j> in the order i = 1 .. F - 1, j < i.
Value dot_interaction(Value x, Loc loc = Loc::current());
// Factorization machine (Rendle 2010): x [B, F, D] -> [B], sum over pairs i < j of <x_i, x_j>
//   = 1/2 sum_d ((sum_f x)^2 - sum_f x^2).
Value fm_second_order(Value x, Loc loc = Loc::current());
// Cross layer of DCN (Wang et al. 2017): x0, x [B, N], w, b [N] -> x0 * (x . w) + b + x.
Value cross_v1(Value x0, Value x, Value w, Value b, Loc loc = Loc::current());
// Cross layer of DCN-v2 (Wang et al. 2021): x0, u, x [B, N] -> x0 * u + x, where u = x W + b.
Value cross_v2(Value x0, Value u, Value x, Loc loc = Loc::current());

}  // namespace winnow
