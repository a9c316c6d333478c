#include "data/detail/value_counts.h"

#include <algorithm>

namespace winnow::detail {

void ValueCounts::drop_bit() {
  std::unordered_map<uint64_t, int64_t> coarser;
  coarser.reserve(counts_.size());
  for (const auto& [key, count] : counts_) coarser[key >> 1] += count;
  counts_ = std::move(coarser);
  ++dropped_;
}

std::vector<std::pair<double, int64_t>> ValueCounts::sorted() const {
  std::vector<std::pair<uint64_t, int64_t>> keys(counts_.begin(), counts_.end());
  std::ranges::sort(keys);
  std::vector<std::pair<double, int64_t>> all;
  all.reserve(keys.size());
  const uint64_t middle = dropped_ > 0 ? uint64_t{1} << (dropped_ - 1) : 0;
  for (const auto& [key, count] : keys) all.emplace_back(number_of((key << dropped_) | middle), count);
  return all;
}

}  // namespace winnow::detail
