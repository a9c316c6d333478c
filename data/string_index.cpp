#include "data/string_index.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>

#include "core/error.h"

namespace winnow {
namespace {

// Multiply and fold over 8-byte words; seeded by the length, so that a zero-padded tail is no collision.
uint32_t hash_of(std::string_view text) {
  constexpr uint64_t kMultiplier = 0x9E3779B97F4A7C15u;
  uint64_t h = kMultiplier ^ text.size();
  const auto mix = [&h](uint64_t word) {
    h = (h ^ word) * kMultiplier;
    h ^= h >> 32;
  };
  size_t i = 0;
  for (; i + 8 <= text.size(); i += 8) {
    uint64_t word;
    std::memcpy(&word, text.data() + i, 8);
    mix(word);
  }
  uint64_t tail = 0;
  if (i < text.size()) std::memcpy(&tail, text.data() + i, text.size() - i);
  mix(tail);
  return static_cast<uint32_t>(h ^ (h >> 29));
}

}  // namespace

size_t StringIndex::slot_of(std::string_view wanted, uint32_t hash) const {
  const size_t mask = table_.size() - 1;
  size_t slot = hash & mask;
  while (table_[slot].number >= 0 && (table_[slot].hash != hash || text(table_[slot].number) != wanted))
    slot = (slot + 1) & mask;
  return slot;
}

int32_t StringIndex::find(std::string_view wanted) const {
  return table_.empty() ? -1 : table_[slot_of(wanted, hash_of(wanted))].number;
}

void StringIndex::find(std::span<const std::string_view> wanted, std::span<int32_t> numbers) const {
  constexpr size_t kGroup = 32;
  if (table_.empty()) {
    std::ranges::fill(numbers, -1);
    return;
  }
  const size_t mask = table_.size() - 1;
  std::array<uint32_t, kGroup> hashes;
  for (size_t first = 0; first < wanted.size(); first += kGroup) {
    const size_t count = std::min(kGroup, wanted.size() - first);
    for (size_t i = 0; i < count; ++i) {
      hashes[i] = hash_of(wanted[first + i]);
      __builtin_prefetch(&table_[hashes[i] & mask]);
    }
    for (size_t i = 0; i < count; ++i)
      if (const int32_t n = table_[hashes[i] & mask].number; n >= 0) __builtin_prefetch(&ends_[static_cast<size_t>(n)]);
    for (size_t i = 0; i < count; ++i)
      if (const int32_t n = table_[hashes[i] & mask].number; n >= 0)
        __builtin_prefetch(characters_.data() + ends_[static_cast<size_t>(n)]);
    for (size_t i = 0; i < count; ++i) numbers[first + i] = table_[slot_of(wanted[first + i], hashes[i])].number;
  }
}

int32_t StringIndex::add(std::string_view wanted) {
  if (static_cast<size_t>(size()) * 2 >= table_.size()) grow();
  const uint32_t hash = hash_of(wanted);
  Entry& entry = table_[slot_of(wanted, hash)];
  if (entry.number >= 0) return entry.number;
  WN_CHECK(size() < std::numeric_limits<int32_t>::max(), DataError, "more than {} distinct values", size());
  entry = {hash, size()};
  characters_ += wanted;
  ends_.push_back(characters_.size());
  return entry.number;
}

void StringIndex::grow() {
  std::vector<Entry> old(table_.empty() ? 16 : table_.size() * 2);
  old.swap(table_);
  const size_t mask = table_.size() - 1;
  for (const Entry& entry : old) {
    if (entry.number < 0) continue;
    size_t slot = entry.hash & mask;
    while (table_[slot].number >= 0) slot = (slot + 1) & mask;
    table_[slot] = entry;
  }
}

}  // namespace winnow
