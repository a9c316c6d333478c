#include "tokenizer/detail/byte_trie.h"

#include <algorithm>

namespace winnow::detail {
namespace {

constexpr size_t kFan = 257;  // a state's children lie at base + 1 .. base + 256

}  // namespace

// The first base at which all children fall on free nodes.
int32_t ByteTrie::place(const std::vector<Child>& children) {
  while (nodes_[first_free_].parent != kNone) ++first_free_;
  size_t base = first_free_ > size_t{children[0].byte} + 1 ? first_free_ - children[0].byte - 1 : 0;
  for (;; ++base) {
    if (base + 2 * kFan > nodes_.size()) nodes_.resize(nodes_.size() * 2);
    const auto free = [&](const Child& c) { return nodes_[base + c.byte + 1].parent == kNone; };
    if (std::ranges::all_of(children, free)) return static_cast<int32_t>(base);
  }
}

ByteTrie::ByteTrie(const std::vector<std::string>& texts) {
  std::vector<int32_t> order;
  for (size_t i = 0; i < texts.size(); ++i)
    if (!texts[i].empty()) order.push_back(static_cast<int32_t>(i));
  const auto text = [&](size_t i) -> const std::string& { return texts[static_cast<size_t>(order[i])]; };
  std::ranges::stable_sort(order, {}, [&](int32_t i) -> const std::string& { return texts[static_cast<size_t>(i)]; });
  nodes_.resize(2 * kFan);
  nodes_[kRoot].parent = -2;  // nobody's child
  std::vector<Range> queue = {{kRoot, 0, order.size(), 0}};
  std::vector<Child> children;
  for (size_t q = 0; q < queue.size(); ++q) {
    Range r = queue[q];
    for (; r.begin < r.end && text(r.begin).size() == r.depth; ++r.begin)
      nodes_[static_cast<size_t>(r.node)].number = order[r.begin];
    children.clear();
    for (size_t i = r.begin; i < r.end; ++i) {
      const auto byte = static_cast<uint8_t>(text(i)[r.depth]);
      if (children.empty() || children.back().byte != byte) children.push_back({byte, i});
    }
    if (children.empty()) continue;
    const int32_t base = place(children);
    nodes_[static_cast<size_t>(r.node)].base = base;
    for (size_t c = 0; c < children.size(); ++c) {
      const int32_t child = base + children[c].byte + 1;
      nodes_[static_cast<size_t>(child)].parent = r.node;
      queue.push_back({child, children[c].begin, c + 1 < children.size() ? children[c + 1].begin : r.end, r.depth + 1});
    }
  }
}

}  // namespace winnow::detail
