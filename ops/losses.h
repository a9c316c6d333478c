// Losses. Each is a weighted mean over the examples, of rank 0 and the element type of the predictions (f32 or f64):
//   loss = sum_i w_i l_i / sum_i w_i, and 0 when the weights sum to 0
// An example of weight 0 does not enter at all, whatever its prediction is: short batches are padded that way. Without
// weights all are 1. Sums are taken in double over blocks that the shape alone decides.
// Gradients: operators <name>_grad(dloss, inputs of the loss), with respect to the predictions. Labels of mse, mae and
// huber get theirs too; other labels, weights and log_q have none, and backward() says so when one would be needed.
// Errors: ShapeError (shapes, parameters out of range), DTypeError.
#pragma once
#include "core/graph.h"

namespace winnow {

// Of one prediction and one label. Formulas: ops/losses.def.h.
//   predictions, labels  one shape S, same type. weights: S, or its leading axes (one weight for all that follow).
// Binary labels are 0 or 1, or probabilities between.
Value bce_with_logits(Value logits, Value labels, Value weights = {}, double label_smoothing = 0,
                      Loc loc = Loc::current());
Value mse(Value predictions, Value labels, Value weights = {}, Loc loc = Loc::current());
Value mae(Value predictions, Value labels, Value weights = {}, Loc loc = Loc::current());
Value huber(Value predictions, Value labels, double delta = 1, Value weights = {}, Loc loc = Loc::current());
Value hinge(Value scores, Value labels, Value weights = {}, Loc loc = Loc::current());
struct FocalOptions {
  double gamma = 2;
  double alpha = 0.25;  // weight of label 1, 1 - alpha that of label 0; -1: no weights
};
Value focal(Value logits, Value labels, FocalOptions options = {}, Value weights = {}, Loc loc = Loc::current());

// Over C classes: l = log sum_c e^x_c - (1 - s) x_label - s / C sum_c x_c, s = label_smoothing (Szegedy et al. 2016).
//   logits [..., C], labels i64 [...], weights [...]. A label outside [0, C) (-1: missing) gives the example weight 0.
Value softmax_cross_entropy(Value logits, Value labels, Value weights = {}, double label_smoothing = 0,
                            Loc loc = Loc::current());

// Bayesian personalised ranking (Rendle et al. 2009): l_b = mean_n log(1 + e^(negatives[b, n] - positives[b])).
//   positives [B], negatives [B, N] or [B], weights [B]
Value bpr(Value positives, Value negatives, Value weights = {}, Loc loc = Loc::current());

// Sampled softmax (Bengio & Senecal 2008; Jean et al. 2015): softmax cross-entropy of the positive among itself and the
// sampled negatives, each logit corrected by the logarithm of its sampling probability q:
//   s = logit - log_q,  l_b = log(e^s_pos + sum_n e^s_neg[n]) - s_pos
//   positives [B], negatives [B, N], log_q of the same shapes (both or none), weights [B]
// log_q = +inf takes a negative out (an accidental hit).
struct LogQ {
  Value positives, negatives;
};
Value sampled_softmax(Value positives, Value negatives, LogQ log_q = {}, Value weights = {}, Loc loc = Loc::current());

// CoSENT (Su 2022, "CoSENT: a more efficient sentence vector scheme than Sentence-BERT"): scores in the order of their
// labels, whatever the labels' scale. Not a mean but one sum over the batch, and 0 where all labels are equal:
//   log(1 + sum over pairs label_i > label_j of w_i w_j e^(scale (scores_j - scores_i)))
//   scores, labels, weights [B]; O(B^2)
Value cosent(Value scores, Value labels, double scale = 20, Value weights = {}, Loc loc = Loc::current());

}  // namespace winnow
