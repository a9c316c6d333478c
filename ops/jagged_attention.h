// Multi-head attention over jagged sequences (Vaswani et al. 2017, section 3.2), one operator forward and one backward.
//   qkv      f32 or f64 [T, 3 H D]: a token's queries, keys and values, each H heads of D. bf16, with everything else
//            f32: what CompileOptions::precision makes of it on a device with kernels for that, of which the products
//            read weights and their gradients in bf16 too; sums and softmax are f32. Then the gradient takes y in
//            bf16 too, and attribute bf16_out = 1 makes y, and the gradient of qkv, bf16
//   offsets  i64 [B + 1]: sequence b is tokens offsets[b] .. offsets[b + 1] - 1 (ops/jagged.h: dead rows give zeros)
//   y        [T, H D]: y_i = sum_j drop(w_ij) v_j, w_i = softmax_j(scale q_i . k_j + bias[h, clamp(j - i, -R, R) + R])
//            over the sequence, with causal over j <= i
// Weights that causal masks are zeros: a NaN or infinity of a token may reach every token of its sequence.
// Nothing is padded and no score matrix reaches memory (core/cpu/attention.h). Beside y the operator saves
// lse [T, H] = log sum_j e^score for its gradient; it has no gradient of its own.
// Errors: ShapeError for widths, heads, a bias that is not [H, 2 R + 1], dropout outside [0, 1) or without a step.
#pragma once
#include "core/graph.h"

namespace winnow {

struct AttentionOptions {
  int64_t heads = 1;
  double scale = 0;  // 0: 1 / sqrt(D)
  bool causal = false;
  double dropout = 0;  // of the weights, in [0, 1), rounded as in ops/dropout.h; the mask is a function of seed, node,
                       // step and place, so that the gradient finds it again
  Value step = {};     // i64 [], needed with dropout
  Value bias = {};     // [H, 2 R + 1], added to the score of a key by its distance to the query; optional
};
Value jagged_attention(Value qkv, Value offsets, const AttentionOptions& options, Loc loc = Loc::current());

}  // namespace winnow
