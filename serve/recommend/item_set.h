// Some of the items of a catalogue, a bit each.
#pragma once
#include <bit>
#include <cstdint>
#include <vector>

namespace winnow {

class ItemSet {
 public:
  explicit ItemSet(int64_t items = 0, bool all = false) { assign(items, all); }
  void assign(int64_t items, bool all) {
    items_ = items;
    bits_.assign(static_cast<size_t>(items + 63) / 64, all ? ~uint64_t{0} : 0);
    if (all && items % 64 != 0) bits_.back() = (uint64_t{1} << (items % 64)) - 1;
  }
  int64_t items() const { return items_; }
  bool has(int64_t item) const { return (bits_[word(item)] >> (item % 64) & 1) != 0; }
  void add(int64_t item) { bits_[word(item)] |= uint64_t{1} << (item % 64); }
  void remove(int64_t item) { bits_[word(item)] &= ~(uint64_t{1} << (item % 64)); }
  // Of sets of the same catalogue.
  void keep(const ItemSet& others) {
    for (size_t i = 0; i < bits_.size(); ++i) bits_[i] &= others.bits_[i];
  }
  void remove(const ItemSet& others) {
    for (size_t i = 0; i < bits_.size(); ++i) bits_[i] &= ~others.bits_[i];
  }
  int64_t count() const {
    int64_t n = 0;
    for (const uint64_t bits : bits_) n += std::popcount(bits);
    return n;
  }

 private:
  static size_t word(int64_t item) { return static_cast<size_t>(item) / 64; }
  int64_t items_ = 0;
  std::vector<uint64_t> bits_;
};

}  // namespace winnow
