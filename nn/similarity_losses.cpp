#include "nn/similarity_losses.h"

#include <numeric>

#include "ops/binary.h"
#include "ops/l2_normalize.h"
#include "ops/losses.h"
#include "ops/matmul.h"
#include "ops/pointwise.h"
#include "ops/reduce.h"
#include "ops/shape_ops.h"

namespace winnow {
namespace {

using Kind = SimilarityLossOptions::Kind;

// 0, 1, ..: the label of query b is candidate b.
Value diagonal_labels(Graph& graph, int64_t rows) {
  std::vector<int64_t> labels(static_cast<size_t>(rows));
  std::iota(labels.begin(), labels.end(), 0);
  return graph.constant(Tensor::of(labels, {rows}));
}

// kExcluded at the positives: they are no negatives of their own.
Value without_positives(Value excluded, Loc loc) {
  const int64_t rows = excluded.shape()[0], columns = excluded.shape()[1];
  Tensor diagonal = Tensor::zeros({DType::F32, {rows, columns}});
  for (int64_t r = 0; r < rows; ++r) diagonal.data<float>()[r * columns + r] = static_cast<float>(kExcluded);
  return add(excluded, excluded.graph->constant(diagonal.to(excluded.dtype())), loc);
}

Value weighted_mean_of(Value losses, Value weights, Loc loc) {
  // mae against 0 is the weighted mean of values that are not negative, without the NaN of a batch without weight
  return mae(losses, losses.graph->constant(Tensor::zeros(losses.spec())), weights, loc);
}

Value softmax_loss(Value scores, const SimilarityInputs& in, const SimilarityLossOptions& o, Loc loc) {
  const int64_t rows = scores.shape()[0];
  const Value logits = add(scale(scores, 1 / o.temperature, loc), in.excluded, loc);
  const Value labels = diagonal_labels(*scores.graph, rows);
  const Value loss = softmax_cross_entropy(logits, labels, in.weights, 0, loc);
  if (!o.symmetric) return loss;
  const Value back = transpose(slice(logits, 1, 0, rows, loc), {1, 0}, loc);
  return scale(add(loss, softmax_cross_entropy(back, labels, in.weights, 0, loc), loc), 0.5, loc);
}

Value triplet_loss(Value scores, const SimilarityInputs& in, const SimilarityLossOptions& o, Loc loc) {
  const int64_t rows = scores.shape()[0], columns = scores.shape()[1];
  std::vector<int64_t> places(static_cast<size_t>(rows));
  for (int64_t r = 0; r < rows; ++r) places[static_cast<size_t>(r)] = r * columns + r;
  const Value positive =
      gather(reshape(scores, {-1}, loc), scores.graph->constant(Tensor::of(places, {rows, 1})), loc);  // [B, 1]
  const Value excluded = without_positives(in.excluded, loc);
  if (o.kind == Kind::TripletHardest) {
    const Value hardest = max(add(scores, excluded, loc), {1}, true, loc);
    const Value losses = relu(affine(sub(hardest, positive, loc), 1, o.margin, loc), loc);
    return weighted_mean_of(reshape(losses, {rows}, loc), in.weights, loc);
  }
  const Value allowed = exp(excluded, loc);  // 1 or 0
  const Value losses = mul(relu(affine(sub(scores, positive, loc), 1, o.margin, loc), loc), allowed, loc);
  const Value count = affine(sum(allowed, {1}, false, loc), 1, 1e-12, loc);
  return weighted_mean_of(div(sum(losses, {1}, false, loc), count, loc), in.weights, loc);
}

Value loss_of_prefix(const SimilarityInputs& in, const SimilarityLossOptions& o, int64_t prefix, Loc loc) {
  const auto unit = [&](Value x) {
    return l2_normalize(prefix == x.shape()[1] ? x : slice(x, 1, 0, prefix, loc), 1e-12, loc);
  };
  const Value scores = matmul(unit(in.queries), unit(in.candidates), false, true, loc);
  if (o.kind == Kind::Softmax) return softmax_loss(scores, in, o, loc);
  if (o.kind != Kind::Cosent) return triplet_loss(scores, in, o, loc);
  return cosent(gather(reshape(scores, {-1}, loc), in.pairs, loc), in.pair_labels, 1 / o.temperature, in.pair_weights,
                loc);
}

}  // namespace

Value similarity_loss(const SimilarityInputs& in, const SimilarityLossOptions& o, Loc loc) {
  const int64_t width = in.queries.shape().back();
  const std::vector<int64_t> prefixes = o.prefixes.empty() ? std::vector{width} : o.prefixes;
  WN_CHECK(in.candidates.shape()[0] >= in.queries.shape()[0], ShapeError, "{} candidates for {} queries ({})",
           in.candidates.shape()[0], in.queries.shape()[0], at_source(loc));
  WN_CHECK(o.prefix_weights.empty() || o.prefix_weights.size() == prefixes.size(), ShapeError,
           "{} weights for {} prefixes ({})", o.prefix_weights.size(), prefixes.size(), at_source(loc));
  Value total;
  for (size_t i = 0; i < prefixes.size(); ++i) {
    WN_CHECK(prefixes[i] >= 1 && prefixes[i] <= width, ShapeError, "prefix {} of vectors of {} elements ({})",
             prefixes[i], width, at_source(loc));
    Value loss = loss_of_prefix(in, o, prefixes[i], loc);
    if (!o.prefix_weights.empty()) loss = scale(loss, o.prefix_weights[i], loc);
    total = total ? add(total, loss, loc) : loss;
  }
  return total;
}

}  // namespace winnow
