// What a log holds, counted in one pass: of winnow events stats.
#pragma once
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "serve/store/event_store.h"

namespace winnow {

struct EventGroup {
  int64_t events = 0, with_request = 0, with_propensity = 0;  // of the events: that name a request, a propensity
  double value = 0;                                           // sum
};

// Memory: some 100 bytes a user and an item.
class EventStats {
 public:
  void add(const UserEvent& event);

  EventGroup all;
  int64_t first_sequence = 0, last_sequence = 0;  // 0: no events
  int64_t first_us = 0, last_us = 0;              // the range of times, in whatever order they lie
  double least_propensity = 0;                    // of those that are logged; 0: none is
  std::map<std::string, EventGroup> kinds, variants;
  std::unordered_map<std::string, int64_t> users, items;  // events of each

  // The n with the most events, by events and then by name.
  static std::vector<std::pair<std::string, int64_t>> top(const std::unordered_map<std::string, int64_t>& counts,
                                                          int n);
};

}  // namespace winnow
