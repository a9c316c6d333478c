// A set of texts with numbers, walked byte by byte: a double array (Aoe 1989, "An efficient digital search algorithm by
// using a double-array structure").
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace winnow::detail {

class ByteTrie {
 public:
  // Text i has number i; empty texts are left out. Of equal texts the last one counts.
  explicit ByteTrie(const std::vector<std::string>& texts);
  static constexpr int32_t kRoot = 0, kNone = -1;
  int32_t step(int32_t state, uint8_t byte) const {
    const int32_t next = nodes_[static_cast<size_t>(state)].base + byte + 1;
    return nodes_[static_cast<size_t>(next)].parent == state ? next : kNone;
  }
  int32_t number(int32_t state) const { return nodes_[static_cast<size_t>(state)].number; }  // -1: no text ends here

 private:
  struct Node {
    int32_t base = 0, parent = kNone, number = -1;
  };
  struct Range {
    int32_t node;
    size_t begin, end, depth;
  };
  struct Child {
    uint8_t byte;
    size_t begin;
  };
  class FreeNodes;
  int32_t place(const std::vector<Child>& children, FreeNodes& free);
  std::vector<Node> nodes_;
};

}  // namespace winnow::detail
