// Stable least-significant-digit radix sort by an unsigned 64-bit key. Digits that are the same in every row are
// skipped, so short keys cost few passes. Time O(rows * digits in use), one scratch vector of the same size.
// A stable order is unique, so the ranges given to the threads cannot be seen in the result.
#pragma once
#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "core/parallel.h"

namespace winnow::detail {

constexpr int kRadixBits = 11;
constexpr size_t kRadixBuckets = size_t{1} << kRadixBits;
using RadixCounts = std::array<size_t, kRadixBuckets>;

// counts[c] = how often chunk c has each digit; into the place of the first row of that digit and chunk.
// Returns true when one digit has every row.
inline bool radix_places(std::vector<RadixCounts>& counts, size_t rows) {
  size_t begin = 0;
  for (size_t digit = 0; digit < kRadixBuckets; ++digit) {
    const size_t before = begin;
    for (RadixCounts& chunk : counts) {
      const size_t count = chunk[digit];
      chunk[digit] = begin;
      begin += count;
    }
    if (begin - before == rows) return true;
  }
  return false;
}

// Sorts rows by bits [begin_bit, 64) of key(row), ascending.
template <class Row, class Key>
void radix_sort(std::vector<Row>& rows, int begin_bit, Key key) {
  constexpr size_t kLeastRowsOfAThread = size_t{1} << 15;
  const size_t n = rows.size();
  const auto threads = static_cast<size_t>(num_threads());
  const size_t chunks = std::clamp<size_t>(n / kLeastRowsOfAThread, 1, threads);
  std::vector<RadixCounts> counts(chunks);  // allocated here: nothing may throw in the loops
  std::vector<Row> scratch(n);
  const auto chunk_loop = [&](auto&& f) {
    parallel_tasks(static_cast<int64_t>(chunks), [&](int64_t c) {
      const auto at = static_cast<size_t>(c);
      f(counts[at], n * at / chunks, n * (at + 1) / chunks);
    });
  };
  for (int shift = begin_bit; shift < 64; shift += kRadixBits) {
    const Row* from = rows.data();
    Row* to = scratch.data();
    chunk_loop([&](RadixCounts& count, size_t begin, size_t end) {
      count.fill(0);
      for (size_t i = begin; i < end; ++i) ++count[(key(from[i]) >> shift) & (kRadixBuckets - 1)];
    });
    if (radix_places(counts, n)) continue;
    chunk_loop([&](RadixCounts& place, size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) to[place[(key(from[i]) >> shift) & (kRadixBuckets - 1)]++] = from[i];
    });
    rows.swap(scratch);
  }
}

}  // namespace winnow::detail
