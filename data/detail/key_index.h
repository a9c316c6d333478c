// Where the cell of a key belongs: the keys of a line mostly come in the order of the line before.
#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

#include "data/string_index.h"

namespace winnow::detail {

class KeyIndex {
 public:
  int32_t add(std::string_view key) { return index_.add(key); }
  int32_t size() const { return index_.size(); }
  // Its number, -1 when there is none; `guess` is tried first and becomes the one after it.
  int32_t find(std::string_view key, int32_t& guess) const {
    if (guess >= index_.size()) guess = 0;
    const int32_t found = guess < index_.size() && index_.text(guess) == key ? guess : index_.find(key);
    if (found >= 0) guess = found + 1;
    return found;
  }
  std::string_view text(int32_t number) const { return index_.text(number); }

 private:
  StringIndex index_;
};

}  // namespace winnow::detail
