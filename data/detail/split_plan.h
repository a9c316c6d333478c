// The split of each interaction, whatever the storage: facts are read in order of the file, as often as needed.
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace winnow::detail {

// Facts of consecutive interactions; `time` and `stratum` are empty where the schema has none.
struct SplitRows {
  std::span<const int32_t> user, stratum;
  std::span<const int64_t> time;
};
// Calls the visitor with all interactions, block by block in order of the file, anew at each call.
using EachSplitRows = std::function<void(const std::function<void(const SplitRows&)>& visit)>;

// The split of each interaction, in order of the file. n interactions, m rows of a part, u in [0, 1):
//   time            boundaries after floor(n train) and floor(n (train + valid)) interactions in stable order of time
//   random          as many of each, drawn without replacement (selection sampling: Fan, Muller, Rezucha 1962; Knuth,
//                   The Art of Computer Programming 2, 3.4.2, algorithm S) in order of the file by Philox of the seed
//   stratified      the same in each stratum, with boundaries rounded to the nearest
//   user            the same over the users, in order of their first interaction
//   leave_last_out  each user's last interaction (ties: last in the file) is test, the one before it validation; users
//                   with fewer than 3 are training
//   kfold           test first, as `time` or `random` with boundary floor(n (1 - test)); the m others are drawn into
//                   folds of floor(m (f + 1) / k) - floor(m f / k)
// Memory: a byte an interaction; leave_last_out 40 bytes a user. DataError: a split that came out empty.
std::vector<Split> plan_splits(const Schema& schema, const EachSplitRows& each);

}  // namespace winnow::detail
