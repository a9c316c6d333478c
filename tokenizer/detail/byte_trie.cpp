#include "tokenizer/detail/byte_trie.h"

#include <algorithm>
#include <utility>

namespace winnow::detail {
namespace {

constexpr size_t kFan = 257;  // a state's children lie at base + 1 .. base + 256

}  // namespace

// Free nodes: next(i) is the first one from i on (disjoint sets, Tarjan 1975).
class ByteTrie::FreeNodes {
 public:
  size_t next(size_t i) {
    size_t root = i;
    while (root < to_.size() && to_[root] != root) root = to_[root];
    while (i < to_.size() && to_[i] != root) i = std::exchange(to_[i], root);
    return root;
  }
  void take(size_t i) {
    for (size_t n = to_.size(); n <= i; ++n) to_.push_back(n);
    to_[i] = i + 1;
  }

 private:
  std::vector<size_t> to_;  // nodes from its end on are free
};

// The first base at which all children fall on free nodes.
int32_t ByteTrie::place(const std::vector<Child>& children, FreeNodes& free) {
  for (size_t first = free.next(size_t{children[0].byte} + 1);; first = free.next(first + 1)) {
    const size_t base = first - children[0].byte - 1;
    if (base + 2 * kFan > nodes_.size()) nodes_.resize(nodes_.size() * 2);
    const auto fits = [&](const Child& c) { return nodes_[base + c.byte + 1].parent == kNone; };
    if (!std::ranges::all_of(children, fits)) continue;
    for (const Child& c : children) free.take(base + c.byte + 1);
    return static_cast<int32_t>(base);
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
  FreeNodes free;
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
    const int32_t base = place(children, free);
    nodes_[static_cast<size_t>(r.node)].base = base;
    for (size_t c = 0; c < children.size(); ++c) {
      const int32_t child = base + children[c].byte + 1;
      nodes_[static_cast<size_t>(child)].parent = r.node;
      queue.push_back({child, children[c].begin, c + 1 < children.size() ? children[c + 1].begin : r.end, r.depth + 1});
    }
  }
}

}  // namespace winnow::detail
