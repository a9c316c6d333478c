#include "data/distinct_count.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace winnow {

void DistinctCount::add(uint64_t hash) {
  hash += hash == 0;  // 0 marks a free slot
  if (!exact()) return add_to_registers(hash);
  if ((used_ + 1) * 2 > table_.size()) grow();
  const size_t mask = table_.size() - 1;
  size_t slot = hash & mask;
  while (table_[slot] != 0 && table_[slot] != hash) slot = (slot + 1) & mask;
  if (table_[slot] == hash) return;
  table_[slot] = hash;
  if (++used_ <= kExact) return;
  registers_.resize(size_t{1} << kBits);
  for (const uint64_t h : table_)
    if (h != 0) add_to_registers(h);
  table_ = {};
}

void DistinctCount::grow() {
  std::vector<uint64_t> old(std::max<size_t>(16, table_.size() * 2));
  old.swap(table_);
  const size_t mask = table_.size() - 1;
  for (const uint64_t hash : old) {
    if (hash == 0) continue;
    size_t slot = hash & mask;
    while (table_[slot] != 0) slot = (slot + 1) & mask;
    table_[slot] = hash;
  }
}

void DistinctCount::add_to_registers(uint64_t hash) {
  uint8_t& rank = registers_[hash >> (64 - kBits)];
  const uint64_t rest = hash << kBits | uint64_t{1} << (kBits - 1);
  rank = std::max(rank, static_cast<uint8_t>(std::countl_zero(rest) + 1));
}

int64_t DistinctCount::count() const {
  if (exact()) return static_cast<int64_t>(used_);
  const double m = static_cast<double>(registers_.size());
  double sum = 0, zeros = 0;
  for (const uint8_t rank : registers_) sum += std::ldexp(1.0, -rank), zeros += rank == 0;
  const double estimate = 0.7213 / (1 + 1.079 / m) * m * m / sum;
  const bool small = estimate <= 2.5 * m && zeros > 0;  // linear counting is better there (section 4)
  return std::llround(small ? m * std::log(m / zeros) : estimate);
}

}  // namespace winnow
