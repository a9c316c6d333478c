#include "core/memory_plan.h"

#include <algorithm>
#include <numeric>

#include "core/error.h"

namespace winnow {
namespace {

size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }
bool overlap_in_time(const Block& a, const Block& b) { return a.first <= b.last && b.first <= a.last; }

}  // namespace

size_t plan_memory(std::vector<Block>& blocks, size_t alignment, size_t gap) {
  std::vector<size_t> order(blocks.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return blocks[a].bytes > blocks[b].bytes; });
  std::vector<size_t> placed;  // by offset
  size_t end = 0;
  for (const size_t i : order) {
    Block& b = blocks[i];
    size_t offset = round_up(gap, alignment);
    for (const size_t j : placed) {
      const Block& other = blocks[j];
      if (!overlap_in_time(b, other)) continue;
      if (offset + b.bytes + gap <= other.offset) break;
      offset = std::max(offset, round_up(other.offset + other.bytes + gap, alignment));
    }
    b.offset = offset;
    end = std::max(end, offset + b.bytes + gap);
    placed.insert(std::upper_bound(placed.begin(), placed.end(), i,
                                   [&](size_t x, size_t y) { return blocks[x].offset < blocks[y].offset; }),
                  i);
  }
  return round_up(end, alignment);
}

size_t plan_without_sharing(std::vector<Block>& blocks, size_t alignment, size_t gap) {
  size_t end = gap;
  for (Block& b : blocks) {
    b.offset = round_up(end, alignment);
    end = b.offset + b.bytes + gap;
  }
  return round_up(end, alignment);
}

void verify_plan(const std::vector<Block>& blocks, size_t arena_bytes) {
  for (size_t i = 0; i < blocks.size(); ++i) {
    const Block& a = blocks[i];
    WN_CHECK(a.offset + a.bytes <= arena_bytes, Error, "memory plan: {} ends at byte {} of an arena of {}", a.name,
             a.offset + a.bytes, arena_bytes);
    for (size_t j = i + 1; j < blocks.size(); ++j) {
      const Block& b = blocks[j];
      const bool share = a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;
      WN_CHECK(!share || !overlap_in_time(a, b), Error,
               "memory plan: {} (steps {}..{}) and {} (steps {}..{}) share bytes while both live", a.name, a.first,
               a.last, b.name, b.first, b.last);
    }
  }
}

}  // namespace winnow
