#include "serve/recommend/rules.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

namespace winnow {
namespace {

class Arranger {
 public:
  Arranger(const Arrangement& a, std::vector<int64_t>& order)
      : a_(a), order_(order), used_(a.ranked.size()), counts_(a.limits.size()) {}

  void run() {
    const auto k = std::min<int64_t>(a_.k, static_cast<int64_t>(a_.ranked.size()));
    reserve_pins(k);
    for (int64_t place = 0; place < k; ++place) {
      const auto pin = pinned_.find(place);
      const int64_t at = pin != pinned_.end() ? pin->second : best_for(place);
      used_[static_cast<size_t>(at)] = true;
      order_.push_back(at);
      if (pin == pinned_.end()) count(at, place);
      if (pin == pinned_.end() && place < a_.new_share.first && is_new(at)) ++new_items_;
    }
  }

 private:
  // Pinned items count from the start: what comes before them leaves them room.
  void reserve_pins(int64_t k) {
    for (const Arrangement::Pin& pin : a_.pinned) {
      const auto at = std::ranges::find(a_.ranked, pin.item) - a_.ranked.begin();
      if (at == static_cast<std::ptrdiff_t>(a_.ranked.size()) || used_[static_cast<size_t>(at)]) continue;
      int64_t place = std::min(pin.position, k - 1);
      while (place >= 0 && pinned_.contains(place)) --place;
      if (place < 0) continue;
      pinned_[place] = at;
      used_[static_cast<size_t>(at)] = true;
      count(at, place);
      if (place < a_.new_share.first && is_new(at)) ++new_items_;
    }
  }
  bool is_new(int64_t at) const { return a_.new_share.share > 0 && a_.is_new(a_.ranked[static_cast<size_t>(at)]); }
  void count(int64_t at, int64_t place) {
    for (size_t l = 0; l < a_.limits.size(); ++l)
      if (place < a_.limits[l].first)
        for (const int32_t v : a_.values->of_item(a_.limits[l].feature, a_.ranked[static_cast<size_t>(at)]))
          ++counts_[l][v];
  }
  bool within_limits(int64_t at, int64_t place) const {
    for (size_t l = 0; l < a_.limits.size(); ++l) {
      if (place >= a_.limits[l].first) continue;
      for (const int32_t v : a_.values->of_item(a_.limits[l].feature, a_.ranked[static_cast<size_t>(at)])) {
        const auto n = counts_[l].find(v);
        if (n != counts_[l].end() && n->second >= a_.limits[l].most) return false;
      }
    }
    return true;
  }
  // Whether this place has to be a new item's for the share to be reached.
  bool needs_new(int64_t place) const {
    if (a_.new_share.share <= 0 || place >= a_.new_share.first) return false;
    const int64_t first = std::min(a_.new_share.first, std::min<int64_t>(a_.k, static_cast<int64_t>(used_.size())));
    const auto wanted = static_cast<int64_t>(std::ceil(a_.new_share.share * static_cast<double>(first) - 1e-9));
    int64_t open = 0;
    for (int64_t p = place; p < first; ++p) open += pinned_.contains(p) ? 0 : 1;
    return wanted - new_items_ >= open;
  }
  int64_t best_for(int64_t place) const {
    int64_t within = -1, any = -1;
    const bool only_new = needs_new(place);
    for (int64_t at = 0; at < static_cast<int64_t>(used_.size()); ++at) {
      if (used_[static_cast<size_t>(at)]) continue;
      if (any < 0) any = at;
      if (!within_limits(at, place)) continue;
      if (within < 0) within = at;
      if (!only_new || is_new(at)) return at;
    }
    return within >= 0 ? within : any;
  }

  const Arrangement& a_;
  std::vector<int64_t>& order_;
  std::vector<bool> used_;
  std::vector<std::map<int32_t, int64_t>> counts_;  // of each limit by value
  std::map<int64_t, int64_t> pinned_;               // place -> position of ranked
  int64_t new_items_ = 0;
};

}  // namespace

void arrange(const Arrangement& arrangement, std::vector<int64_t>& order) {
  order.clear();
  if (!arrangement.pinned.empty() || !arrangement.limits.empty() || arrangement.new_share.share > 0) {
    Arranger(arrangement, order).run();
    return;
  }
  order.resize(std::min(arrangement.ranked.size(), static_cast<size_t>(arrangement.k)));
  std::iota(order.begin(), order.end(), 0);
}

}  // namespace winnow
