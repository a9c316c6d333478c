// The gradient of a row-sparse table: which rows a step touched, and which elements of dy belong to each.
#pragma once
#include <vector>

#include "core/graph.h"

namespace winnow {

// Occurrences sorted by row. n = number of ids of all uses, of which the missing ones are not counted.
// The gradient of unique_rows[k] is  sum over i in [starts[k], starts[k + 1]) of coef[i] * dy[bag[i], :].
struct RowSegments {
  Value unique_rows;  // i64 [n], ascending; -1 from `count` on
  Value starts;       // i32 [n + 1]; entries after `count` repeat the number of valid occurrences
  Value count;        // i64 [], number of unique rows
  Value bag;          // i32 [n], row of dy; 0 for what is missing
  Value coef;  // f32 [n] (f64 with f64 weights or attribute f64), weight / valid ids of a mean; 0 for what is missing
  Value dy;    // [bags of all uses, D]
};

// Records embedding_segments over all uses of one table (Graph::row_gradients) and the concatenated dy.
//   embedding_segments((ids, [offsets], [weights]) per use) -> unique_rows, starts, count, bag, coef
// Stable radix sort by row: occurrences of a row keep the order (use, sample, feature, position), for any number of
// threads. ShapeError: max pooling (its gradient is not a sum of rows of dy), 2^32 - 1 rows or 2^31 ids and more.
RowSegments row_segments(Graph& graph, const std::vector<RowGradient>& uses, Loc loc = Loc::current());

// [n, D]: the summed gradient of each unique row, zeros from `count` on.
Value segment_sum(const RowSegments& segments, Loc loc = Loc::current());
// rank 0: sum of squares of the summed row gradients, for clipping by the global norm (ops/clip.h).
Value segment_sqnorm(const RowSegments& segments, Loc loc = Loc::current());

}  // namespace winnow
