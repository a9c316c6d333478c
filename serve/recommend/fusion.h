// One ranking of several.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace winnow {

struct RankedItem {
  int64_t item = -1;
  double score = 0;
  friend bool operator==(const RankedItem&, const RankedItem&) = default;
};

struct FusionOptions {
  enum Method : uint8_t { ReciprocalRank, Weighted } method = ReciprocalRank;
  double k = 60;  // of reciprocal ranks
};

// lists: each best first, of distinct items; weights: of each list. Overwrites `out` with every item of any list, best
// first, equal ones by item, with
//   reciprocal rank  sum over the lists of weight / (k + rank), ranks from 1 (Cormack, Clarke and Buettcher 2009,
//                    "Reciprocal rank fusion outperforms Condorcet and individual rank learning methods")
//   weighted         sum over the lists of weight (score - least) / (largest - least) of the list, where all are equal
//   1;
//                    an item that is not in a list gets 0 from it
void fuse(std::span<const std::vector<RankedItem>> lists, std::span<const double> weights, const FusionOptions& options,
          std::vector<RankedItem>& out);

}  // namespace winnow
