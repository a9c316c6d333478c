#include "serve/store/event_stats.h"

#include <algorithm>

namespace winnow {

void EventStats::add(const UserEvent& event) {
  for (EventGroup* group : {&all, &kinds[event.kind], &variants[event.variant]}) {
    ++group->events;
    group->with_request += !event.request.empty();
    group->with_propensity += event.propensity > 0;
    group->value += event.value;
  }
  const bool first = all.events == 1;
  if (first) first_sequence = event.sequence;
  last_sequence = event.sequence;
  first_us = first ? event.time_us : std::min(first_us, event.time_us);
  last_us = std::max(last_us, event.time_us);
  if (event.propensity > 0)
    least_propensity = least_propensity > 0 ? std::min(least_propensity, event.propensity) : event.propensity;
  ++users[event.user];
  ++items[event.item];
}

std::vector<std::pair<std::string, int64_t>> EventStats::top(const std::unordered_map<std::string, int64_t>& counts,
                                                             int n) {
  std::vector<std::pair<std::string, int64_t>> all(counts.begin(), counts.end());
  const auto end = all.begin() + std::min(static_cast<ptrdiff_t>(n), static_cast<ptrdiff_t>(all.size()));
  std::partial_sort(all.begin(), end, all.end(), [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  });
  all.erase(end, all.end());
  return all;
}

}  // namespace winnow
