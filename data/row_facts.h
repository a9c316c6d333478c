// Rows of a data set without their features, and chosen rows with them, whatever the storage.
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "data/dataset.h"

namespace winnow {

// Some rows of a split, in its order.
struct RowFacts {
  int64_t first = 0;  // position of the first of them in the split
  std::span<const float> label, weight;
  std::span<const int32_t> user, item;
  std::span<const int64_t> timestamp;  // empty without a timestamp column
};
// Calls visit with all rows of the split, some thousand at a time.
void for_each_facts(const Dataset& dataset, Split split, const std::function<void(const RowFacts&)>& visit);

// A row as (split, position in it).
struct RowPlace {
  Split split = Split::Train;
  int64_t row = 0;
};
// Whose rows are looked for: &RowFacts::user or &RowFacts::item.
using RowKey = std::span<const int32_t> RowFacts::*;
// The latest row of each of `count` keys before the test split, else its first there; row -1: none.
std::vector<RowPlace> latest_rows(const Dataset& dataset, RowKey key, size_t count);
// Rows of a data set on disk as one in memory, with map, ids, offsets, dense, label, weight, user and item alone. Row
// train[i] of it is the row at places[i].
Dataset gather_rows(const Dataset& dataset, const std::vector<RowPlace>& places);

}  // namespace winnow
