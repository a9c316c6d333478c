#include "serve/recommend/fusion.h"

#include <algorithm>

#include "core/error.h"

namespace winnow {

void fuse(std::span<const std::vector<RankedItem>> lists, std::span<const double> weights, const FusionOptions& options,
          std::vector<RankedItem>& out) {
  WN_CHECK(lists.size() == weights.size(), ShapeError, "{} lists and {} weights", lists.size(), weights.size());
  out.clear();
  for (size_t l = 0; l < lists.size(); ++l) {
    const auto& list = lists[l];
    for (size_t r = 0; r < list.size(); ++r) {
      const double range = list.front().score - list.back().score;
      const double part = options.method == FusionOptions::ReciprocalRank ? 1 / (options.k + static_cast<double>(r + 1))
                          : range > 0                                     ? (list[r].score - list.back().score) / range
                                                                          : 1;
      out.push_back({list[r].item, weights[l] * part});
    }
  }
  // summed in the order of the lists
  std::ranges::stable_sort(out, {}, &RankedItem::item);
  size_t kept = 0;
  for (size_t i = 0; i < out.size(); ++i)
    if (kept > 0 && out[kept - 1].item == out[i].item)
      out[kept - 1].score += out[i].score;
    else
      out[kept++] = out[i];
  out.resize(kept);
  std::ranges::sort(out, [](const RankedItem& a, const RankedItem& b) {
    return a.score != b.score ? a.score > b.score : a.item < b.item;
  });
}

}  // namespace winnow
