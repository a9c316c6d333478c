// Static memory plan: every block of a Program gets an offset in one arena; blocks whose lives do not overlap share.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace winnow {

struct Block {
  size_t bytes = 0;
  int first = 0, last = 0;  // inclusive: positions in the schedule between which the contents matter
  std::string name;         // for messages
  size_t offset = 0;        // the plan's answer
};

// Greedy by size, offsets multiples of `alignment`, at least `gap` bytes between blocks. Returns the arena's size.
size_t plan_memory(std::vector<Block>& blocks, size_t alignment, size_t gap = 0);
size_t plan_without_sharing(std::vector<Block>& blocks, size_t alignment, size_t gap);

// Re-checks a plan from scratch; Error names two blocks that share bytes while both are alive.
void verify_plan(const std::vector<Block>& blocks, size_t arena_bytes);

}  // namespace winnow
