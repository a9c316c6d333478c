// Losses of rankings over groups: the documents of one query, the candidates of one user. Rows offsets[b] ..
// offsets[b + 1] - 1 are group b (ops/jagged.h: rows outside every group have no gradient).
//   scores   [T] f32 or f64; labels [T] of the same type: grades, not negative, a larger one is better
//   offsets  i64 [B + 1], non-decreasing
//   result   rank 0: the mean of l_b over the groups that count, 0 when none does. Sums are taken in double.
// For ranknet and lambdarank a group counts when its labels differ, for listnet when it is not empty: the empty groups
// that fill a batch never count. Groups of offsets that break the rules are cut so that they do not overlap.
// Gradients are with respect to the scores: <name>_grad(dloss, inputs). Labels have none, and backward() says so.
// Errors: ShapeError (shapes, options out of range), DTypeError.
#pragma once
#include "core/graph.h"

namespace winnow {

// RankNet (Burges et al. 2005, "Learning to Rank using Gradient Descent", section 3): over the pairs with y_i > y_j
//   l_b = mean log(1 + e^(-sigma (s_i - s_j)))
Value ranknet(Value scores, Value labels, Value offsets, double sigma = 1, Loc loc = Loc::current());

// LambdaRank (Burges 2010, "From RankNet to LambdaRank to LambdaMART", section 4) as LightGBM defines its lambdas
// (objective lambdarank): over the pairs with y_i > y_j of which one is among the first `truncation` by score
//   l_b = n_b sum w_ij log(1 + e^(-sigma (s_i - s_j)))
//   w_ij = |gain(y_i) - gain(y_j)| |1 / log2(1 + rank_i) - 1 / log2(1 + rank_j)| / (DCG of the best order, cut there)
// gain(y) = 2^y - 1, or y. With `normalize`, w_ij is also divided by .01 + |s_i - s_j| (unless all scores are equal)
// and n_b = log2(1 + L) / L, L the sum of |dl_b / ds_i| that n_b = 1 would give pair by pair; without it n_b = 1.
// Ranks, w and n come from the scores as they stand and are constants of the differentiation: the gradient is the
// lambdas, and not the derivative of a function of the scores alone. The operator therefore takes the scores twice,
// lambdarank(scores, ranked_by, labels, offsets), and is exactly the derivative in its first input; the second, from
// which ranks, w and n come, has none. Equal scores rank in order of their rows.
struct LambdaRankOptions {
  double sigma = 1;
  int64_t truncation = 30;
  bool normalize = true;
  bool exponential_gain = true;
};
Value lambdarank(Value scores, Value labels, Value offsets, const LambdaRankOptions& options = {},
                 Loc loc = Loc::current());

// ListNet with top-one probabilities (Cao et al. 2007, "Learning to Rank: From Pairwise Approach to Listwise Approach",
// section 4): the cross-entropy of softmax(scores) under softmax(labels)
//   l_b = log sum_i e^s_i - sum_i p_i s_i, p = softmax(y)
Value listnet(Value scores, Value labels, Value offsets, Loc loc = Loc::current());

}  // namespace winnow
