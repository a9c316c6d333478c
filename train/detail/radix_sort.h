// Stable least-significant-digit radix sort by an unsigned 64-bit key. Digits that are the same in every row are
// skipped, so short keys cost few passes. Time O(rows * digits in use), one scratch vector of the same size.
#pragma once
#include <array>
#include <cstdint>
#include <vector>

namespace winnow::detail {

// Sorts rows by bits [begin_bit, 64) of key(row), ascending.
template <class Row, class Key>
void radix_sort(std::vector<Row>& rows, int begin_bit, Key key) {
  constexpr int kDigitBits = 11, kMaxDigits = 6;
  constexpr size_t kBuckets = size_t{1} << kDigitBits;
  const int digits = (64 - begin_bit + kDigitBits - 1) / kDigitBits;
  std::vector<std::array<size_t, kBuckets>> counts(kMaxDigits);
  for (const Row& row : rows) {
    const uint64_t k = key(row) >> begin_bit;
    for (int d = 0; d < digits; ++d) ++counts[static_cast<size_t>(d)][(k >> (d * kDigitBits)) & (kBuckets - 1)];
  }
  std::vector<Row> scratch(rows.size());
  for (int d = 0; d < digits; ++d) {
    auto& next = counts[static_cast<size_t>(d)];
    const int shift = begin_bit + d * kDigitBits;
    if (rows.empty() || next[(key(rows[0]) >> shift) & (kBuckets - 1)] == rows.size()) continue;
    size_t begin = 0;
    for (size_t& n : next) {
      const size_t count = n;
      n = begin;
      begin += count;
    }
    for (const Row& row : rows) scratch[next[(key(row) >> shift) & (kBuckets - 1)]++] = row;
    rows.swap(scratch);
  }
}

}  // namespace winnow::detail
