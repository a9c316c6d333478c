// Losses of a dual encoder: query vectors against candidate vectors, by cosine. Compositions of operators.
#pragma once
#include <cstdint>
#include <vector>

#include "core/graph.h"

namespace winnow {

// What `excluded` holds where a candidate is no negative of a query: no exponential of it differs from 0.
inline constexpr double kExcluded = -1e9;

struct SimilarityLossOptions {
  enum class Kind : uint8_t { Softmax, TripletHardest, TripletAll, Cosent } kind = Kind::Softmax;
  double temperature = 0.05;  // Softmax: of the cosines; Cosent: 1 / its scale
  bool symmetric = false;     // Softmax: also from each item to the queries, the mean of both
  double margin = 0.2;        // Triplet
  // Matryoshka (Kusupati et al. 2022, "Matryoshka representation learning"): the sum of the losses of the first d
  // elements of the vectors, each prefix normalised by itself, times its weight. Empty: all elements, weight 1.
  std::vector<int64_t> prefixes = {};
  std::vector<double> prefix_weights = {};  // empty: all 1
};

// A batch of B queries and C >= B candidates of any length: candidate b < B is the positive of query b, those from B on
// are further negatives of all queries.
struct SimilarityInputs {
  Value queries;     // [B, D]
  Value candidates;  // [C, D]
  // [B, C]: kExcluded where the candidate is no negative of the query (an equal item, an item that the query is known
  // to like, padding), else 0; Softmax: less log q of the candidate, q the probability of its being in a batch, where
  // sampling is to be corrected (Yi et al. 2019, "Sampling-bias-corrected neural modeling"). Of the positive itself: 0
  // less log q.
  Value excluded;
  Value weights;  // [B]; 0: the query does not count
  // Cosent: P pairs, i64 [P] the place b C + c of query b and candidate c; their labels and weights [P].
  Value pairs, pair_labels, pair_weights;
};

// With s = cosine(query, candidate), rank 0, a weighted mean over the queries (Cosent: its sum, ops/losses.h):
//   Softmax         l_b = log sum_c e^(s_bc / temperature + excluded_bc) - that of c = b. In-batch negatives: Henderson
//                   et al. 2017, "Efficient natural language response suggestion", section 3; InfoNCE: van den Oord et
//                   al. 2018.
//   TripletHardest  l_b = max(0, margin - s_bb + max of s_bc over the negatives c) (Hermans et al. 2017, "batch hard")
//   TripletAll      l_b = mean over the negatives c of max(0, margin - s_bb + s_bc)
//   Cosent          scores of the pairs in the order of their labels
// ShapeError: shapes that do not fit, a prefix that is not in 1 .. D.
Value similarity_loss(const SimilarityInputs& in, const SimilarityLossOptions& options, Loc loc = Loc::current());

}  // namespace winnow
