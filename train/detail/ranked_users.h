// What evaluate_ranking keeps of a user, and the metrics over all of them.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "train/ranking.h"

namespace winnow::detail {

struct Evaluated {
  int64_t user;
  std::vector<int64_t> targets;            // sorted
  std::vector<int64_t> top;                // the list, best first
  std::vector<int64_t> drawn = {};         // the sampled negatives, while the user is ranked
  std::vector<size_t> sampled_ranks = {};  // of each target among them
  int64_t nan_item = -1;
};

inline std::span<const int64_t> items_of(const UserItems& lists, int64_t user) {
  if (lists.offsets.empty()) return {};
  const auto u = static_cast<size_t>(user);
  return lists.items.subspan(static_cast<size_t>(lists.offsets[u]),
                             static_cast<size_t>(lists.offsets[u + 1] - lists.offsets[u]));
}

// Appends to result.metrics and result.sampled, by k.
void append_ranking_metrics(const RankingProblem& problem, const RankingOptions& options,
                            std::span<const Evaluated> users, std::span<const uint8_t> barred, RankingResult& result);

}  // namespace winnow::detail
