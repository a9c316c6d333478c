#include "data/detail/value_counts.h"

#include <algorithm>
#include <array>

namespace winnow::detail {

void ValueCounts::drop_bits(int bits) {
  std::unordered_map<uint64_t, int64_t> coarser;
  coarser.reserve(counts_.size());
  for (const auto& [key, count] : counts_) coarser[key >> bits] += count;
  counts_ = std::move(coarser);
  dropped_ += bits;
}

// Neighbours in order stay apart under a shift of k exactly when they differ above bit k.
void ValueCounts::coarsen() {
  std::vector<uint64_t> keys;
  keys.reserve(counts_.size());
  for (const auto& [key, count] : counts_) keys.push_back(key);
  std::ranges::sort(keys);
  std::array<size_t, 65> widths{};
  for (size_t i = 1; i < keys.size(); ++i) ++widths[static_cast<size_t>(std::bit_width(keys[i - 1] ^ keys[i]))];
  size_t distinct = keys.size();
  int bits = 0;
  while (distinct > kMost) distinct -= widths[static_cast<size_t>(++bits)];
  drop_bits(bits);
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
