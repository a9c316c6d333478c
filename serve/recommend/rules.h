// What a business wants of a list beyond its scores: places kept, categories limited, room for the new.
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "serve/recommend/item_values.h"

namespace winnow {

// Of items that pass the filters a logit is raised (boost), or lowered below 0 (bury).
struct BoostRule {
  std::vector<ValueFilter> where;
  double by = 0;
};
// At most `most` items of one value of the feature among the first `first`.
struct CategoryLimit {
  std::string feature;
  int64_t most = 3, first = 10;
};
struct PinnedItem {
  std::string item;      // its key
  int64_t position = 1;  // from 1
};
// At least ceil(share x first) of the first `first` items are new, as far as there are new ones.
struct NewShare {
  double share = 0;
  int64_t first = 10;
};

// What is arranged: positions of a ranked list, best first.
struct Arrangement {
  std::span<const int64_t> ranked;  // items, best first, distinct
  int64_t k = 10;
  struct Pin {
    int64_t item, position;  // of ranked; from 0, distinct
  };
  std::span<const Pin> pinned = {};
  const ItemValues* values = nullptr;  // of the limits
  struct Limit {
    size_t feature;
    int64_t most, first;
  };
  std::span<const Limit> limits = {};
  NewShare new_share = {};
  std::function<bool(int64_t item)> is_new = {};  // of the share
};
// Overwrites `order` with positions of `ranked`: pinned ones stand at their place (the last place where k is less),
// every other place takes the best that is left over and breaks no rule. Where none is left that keeps them all, the
// share of new items is given up first, then the limits: a list is never shorter for a rule.
void arrange(const Arrangement& arrangement, std::vector<int64_t>& order);

}  // namespace winnow
