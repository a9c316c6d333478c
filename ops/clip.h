// Clipping of gradients by their global norm.
#pragma once
#include <vector>

#include "core/graph.h"

namespace winnow {

// sqrt(sum over all gradients of sum x^2 + sum of `squares`), rank 0. squares: rank-0 sums of squares (segment_sqnorm).
// Sums run over fixed blocks in double: same bits for any number of threads.
Value global_norm(const std::vector<Value>& gradients, const std::vector<Value>& squares = {},
                  Loc loc = Loc::current());
// min(1, max_norm / (norm + 1e-6)), rank 0: the `scale` of the optimizers. Pascanu et al. 2013. NaN when
// the norm is not finite: the optimizers then leave everything as it is.
Value clip_scale(Value norm, double max_norm, Loc loc = Loc::current());

}  // namespace winnow
