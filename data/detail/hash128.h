// 128-bit hashes of rows of cells, and a table keyed by them.
#pragma once
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

namespace winnow::detail {

struct Hash128 {
  uint64_t low = 0, high = 0;
  bool operator==(const Hash128&) const = default;
};

// Two multiply-and-fold chains over 8-byte words, each cell preceded by its length so that ("ab", "c") is not ("a",
// "bc"). Not keyed: equal on every machine and in every run, and no defence against rows made to collide.
class RowHasher {
 public:
  void add(std::string_view cell) {
    mix(cell.size());
    size_t at = 0;
    for (; at + 8 <= cell.size(); at += 8) mix(word(cell.data() + at, 8));
    if (at < cell.size()) mix(word(cell.data() + at, cell.size() - at));
  }
  void add(uint64_t number) { mix(number); }
  Hash128 finish() const { return {fold(low_ ^ kA, kC), fold(high_ ^ kB, kD)}; }

 private:
  static constexpr uint64_t kA = 0x9AE16A3B2F90404F, kB = 0xC3A5C85C97CB3127, kC = 0xB492B66FBE98F273,
                            kD = 0xE7037ED1A0B428DB;
  __extension__ typedef unsigned __int128 Uint128;
  static uint64_t fold(uint64_t a, uint64_t b) {
    const Uint128 product = static_cast<Uint128>(a) * b;
    return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
  }
  static uint64_t word(const char* at, size_t bytes) {
    uint64_t w = 0;
    std::memcpy(&w, at, bytes);
    return w;
  }
  // The words enter by addition and exclusive or, and the state is added back: a product of 0 loses nothing.
  void mix(uint64_t w) {
    low_ = fold(low_ ^ w ^ kA, kB) + (low_ << 1 | low_ >> 63) + w;
    high_ = fold(high_ + w + kC, kD) ^ (high_ << 3 | high_ >> 61);
  }
  uint64_t low_ = 0x243F6A8885A308D3, high_ = 0x13198A2E03707344;
};

// Open addressing, 3/8 to 3/4 full. Values are found by the whole hash.
template <class Value>
class HashTable {
 public:
  // The value of a key, a new one (Value{}) when the key is new; `added` says which. Valid until the next call.
  Value& at(const Hash128& key, bool& added) {
    if (4 * (size_ + 1) > 3 * slots_.size()) grow();
    Slot& slot = slots_[slot_of(key)];
    added = empty(slot);
    if (added) {
      slot.key = stored(key);
      ++size_;
    }
    return slot.value;
  }
  Value* find(const Hash128& key) {
    if (slots_.empty()) return nullptr;
    Slot& slot = slots_[slot_of(key)];
    return empty(slot) ? nullptr : &slot.value;
  }
  size_t size() const { return size_; }
  void clear() {
    slots_ = {};
    size_ = 0;
  }
  template <class F>
  void for_each(F&& f) const {  // in the order of the table, which is a function of the keys and of their order
    for (const Slot& slot : slots_)
      if (!empty(slot)) f(slot.value);
  }

 private:
  struct Slot {
    Hash128 key;
    [[no_unique_address]] Value value;
  };
  // An empty slot has the key 0, which a real key of 0 avoids by giving up one bit.
  static bool empty(const Slot& s) { return s.key == Hash128{}; }
  static Hash128 stored(const Hash128& key) { return key == Hash128{} ? Hash128{1, 0} : key; }
  size_t slot_of(const Hash128& key) const {
    const Hash128 wanted = stored(key);
    size_t at = wanted.high & (slots_.size() - 1);
    while (!empty(slots_[at]) && !(slots_[at].key == wanted)) at = (at + 1) & (slots_.size() - 1);
    return at;
  }
  void grow() {
    std::vector<Slot> old(slots_.empty() ? 16 : 2 * slots_.size());
    old.swap(slots_);
    for (const Slot& slot : old)
      if (!empty(slot)) slots_[slot_of(slot.key)] = slot;
  }
  std::vector<Slot> slots_;
  size_t size_ = 0;
};

struct Nothing {};

}  // namespace winnow::detail
