// Lookups in a stack of embedding tables: one tensor [R, D] that holds the tables of all features one after another.
#pragma once
#include <cstdint>
#include <vector>

#include "core/graph.h"

namespace winnow {

enum class Pooling : uint8_t { Sum, Mean, Max };

// Where each feature's table lies in the stack. Lists have one entry per feature, or one entry for all.
struct BagFeatures {
  std::vector<int64_t> row_base;  // first row of the feature's table
  std::vector<int64_t> rows;      // number of rows of it
  std::vector<Pooling> pooling = {Pooling::Sum};
  int64_t padding_id = -1;  // ids equal to it are missing; -1: none
};

// A bag of ids for each (sample, feature). Both may be empty.
struct BagInputs {
  Value offsets{};  // i64 [B * F + 1], non-decreasing from 0; bag i = b * F + f is ids[offsets[i] .. offsets[i + 1])
  Value weights{};  // f32, shape of ids: each row is multiplied by its weight
};

// out[b, f, :] = pool over the bag of weight * table[row_base[f] + id, :]
//   table    f32 or bf16 [R, D] (f64 for references), out f32 (f64)
//   ids      i64; without offsets [B, F], one id a bag (any rank: out has shape ids.shape + [D], the feature is the
//            last axis); with offsets [capacity], of which offsets[B * F] are read, and out is [B, F, D]
//   An id outside [0, rows[f]), or equal to padding_id, is missing: it adds nothing, gets no gradient and is not
//   counted by the mean. A bag without a valid id gives zeros. Max takes no weights, and needs a table that is not
//   row-sparse.
// Gradients: a row-sparse table gets a RowGradient (ops/segments.h), another one embedding_bag_grad; weights get
// embedding_bag_weights_grad. ShapeError: lists of unequal length, a feature that ends beyond R, bags of another rank.
Value embedding_bag(Value table, Value ids, const BagFeatures& features, const BagInputs& bags = {},
                    Loc loc = Loc::current());

// One table, one id a position: out = table[ids], shape ids.shape + [D].
Value embedding(Value table, Value ids, int64_t padding_id = -1, Loc loc = Loc::current());

// Recorded by the gradient of embedding_bag; both take its attributes.
//   embedding_bag_grad(dy, ids, [offsets], [weights], [table: if a feature pools by max]; table_rows) -> [table_rows,
//   D]:
//     dtable[r, :] = sum over occurrences of row r, in order, of coefficient * dy[bag, :]; max: to the first largest.
//   embedding_bag_weights_grad(dy, table, ids, [offsets]) -> shape of ids: <dy[bag, :], row> (/ valid ids of a mean).

}  // namespace winnow
