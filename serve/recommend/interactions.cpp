#include "serve/recommend/interactions.h"

#include <algorithm>

namespace winnow {

Interactions liked(const Catalogue& catalogue) {
  Interactions all;
  all.users = catalogue.users();
  all.items = catalogue.items();
  std::vector<TakenItem> one;
  for (int64_t u = 0; u < all.users; ++u) {
    liked(catalogue, u, one);
    for (const TakenItem& taken : one) {
      all.item.push_back(static_cast<int32_t>(taken.item));
      all.time.push_back(taken.time);
      all.latest = std::max(all.latest, taken.time);
    }
    all.offsets.push_back(static_cast<int64_t>(all.item.size()));
  }
  return all;
}

void liked(const Catalogue& catalogue, int64_t user, std::vector<TakenItem>& out) {
  out.clear();
  if (user < 0) return;
  for (int64_t n = 0; n < catalogue.taken(user); ++n)
    if (const TakenItem taken = catalogue.taken(user, n); taken.label > 0.5f) out.push_back(taken);
}

}  // namespace winnow
