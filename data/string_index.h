// Distinct texts numbered in order of first appearance: 0, 1, 2, ...
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace winnow {

// Open addressing over one character buffer. Up to 2^31 - 1 texts (DataError beyond).
class StringIndex {
 public:
  int32_t add(std::string_view text);         // its number, a new one when it is new
  int32_t find(std::string_view text) const;  // -1 when absent
  // find() of many texts, numbers[i] of wanted[i]: the memory of some of them is fetched while others are compared.
  void find(std::span<const std::string_view> wanted, std::span<int32_t> numbers) const;
  std::string_view text(int32_t number) const {
    const auto i = static_cast<size_t>(number);
    return std::string_view(characters_).substr(ends_[i], ends_[i + 1] - ends_[i]);
  }
  int32_t size() const { return static_cast<int32_t>(ends_.size()) - 1; }

 private:
  struct Entry {
    uint32_t hash = 0;
    int32_t number = -1;
  };
  size_t slot_of(std::string_view text, uint32_t hash) const;
  void grow();
  std::string characters_;
  std::vector<size_t> ends_ = {0};
  std::vector<Entry> table_;
};

}  // namespace winnow
