// Who liked what, as the sources count it.
#pragma once
#include <cstdint>
#include <vector>

#include "data/catalogue.h"

namespace winnow {

// What user u liked: [offsets[u], offsets[u + 1]), oldest first. An item may stand there more than once.
struct Interactions {
  int64_t users = 0, items = 0;
  std::vector<int64_t> offsets = {0};  // [users + 1]
  std::vector<int32_t> item;
  std::vector<int64_t> time;  // seconds; 0 without timestamps
  int64_t latest = 0;         // the largest of them
};

// The interactions of training and validation with label > 0.5.
Interactions liked(const Catalogue& catalogue);
// Those of one user; `out` is overwritten and keeps its memory.
void liked(const Catalogue& catalogue, int64_t user, std::vector<TakenItem>& out);

}  // namespace winnow
