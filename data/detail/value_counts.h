// How often each number occurs, in bounded memory: for quantiles of a stream.
#pragma once
#include <bit>
#include <cstdint>
#include <unordered_map>
#include <utility>
#include <vector>

namespace winnow::detail {

// Exact up to kMost distinct numbers. Beyond, numbers that agree in all but the last `dropped` bits of their mantissa
// (and, at the very end, exponent) are one, standing for the middle of their interval; `dropped` is the least for which
// kMost intervals are enough. That depends on the set of numbers alone, so the result does not depend on the order of
// add and merge. With k dropped bits a number is off by at most 2^(k - 53) of itself.
class ValueCounts {
 public:
  static constexpr size_t kMost = 1 << 16;

  void add(double x, int64_t count) {
    counts_[key_of(x) >> dropped_] += count;
    if (counts_.size() > kMost) coarsen();
  }
  void merge(const ValueCounts& other) {
    if (dropped_ < other.dropped_) drop_bits(other.dropped_ - dropped_);
    for (const auto& [key, count] : other.counts_) counts_[key >> (dropped_ - other.dropped_)] += count;
    if (counts_.size() > kMost) coarsen();
  }
  std::vector<std::pair<double, int64_t>> sorted() const;
  int dropped() const { return dropped_; }

 private:
  // In the order of the numbers: the sign bit flipped, and all others of negative ones.
  static uint64_t key_of(double x) {
    const auto bits = std::bit_cast<uint64_t>(x + 0.0);  // -0 is 0
    return (bits >> 63) != 0 ? ~bits : bits | (uint64_t{1} << 63);
  }
  static double number_of(uint64_t key) {
    return std::bit_cast<double>((key >> 63) != 0 ? key & ~(uint64_t{1} << 63) : ~key);
  }
  void drop_bits(int bits);
  void coarsen();
  std::unordered_map<uint64_t, int64_t> counts_;
  int dropped_ = 0;
};

}  // namespace winnow::detail
