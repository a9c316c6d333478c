// Hard negatives: items that the model as it is now ranks high for a query, although they are no answers.
#pragma once
#include <cstdint>
#include <optional>
#include <vector>

#include "data/match_batches.h"

namespace winnow {

struct MiningOptions {
  int64_t negatives = 0;         // of each row; 0: no mining
  int64_t every = 1;             // epochs between minings
  int64_t from = 0, until = 50;  // ranks among the items that are no answers, the best is 0; until is not included
  // Only items whose cosine is below that of the query's best answer by at least this much: those closer are likely
  // answers that nobody has marked (Moreira et al. 2024, "NV-Retriever", section 4.2).
  std::optional<double> margin;
  bool hardest = false;  // the first of those ranks; false: drawn from them by (seed, epoch, query)
  uint64_t seed = 0;
};

// Items [rows of the batches, negatives], -1 where too few were found. Never one whose text the query's owner is known
// to like. queries, items: unit vectors of all texts of the data; a row's query is looked up once.
std::vector<int32_t> mine_negatives(const MatchData& data, const MatchBatches& batches, const Tensor& queries,
                                    const Tensor& items, const MiningOptions& options, int64_t epoch);

}  // namespace winnow
