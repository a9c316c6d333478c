#include "serve/store/detail/history_cache.h"

#include <algorithm>

namespace winnow::detail {

HistoryCache::User& HistoryCache::of(const std::string& user) {
  const auto found = index_.find(user);
  if (found != index_.end()) {
    users_.splice(users_.begin(), users_, found->second);
  } else {
    users_.push_front({user, {}});
    index_.emplace(user, users_.begin());
  }
  return users_.front();
}

void HistoryCache::trim(User& user) {
  for (; user.events.size() > of_user_; --events_) user.events.pop_front();
  while (events_ > of_all_ && users_.size() > 1) {
    events_ -= users_.back().events.size();
    index_.erase(users_.back().name);
    users_.pop_back();
  }
}

void HistoryCache::push(const UserEvent& event) {
  const std::lock_guard lock(mutex_);
  User& user = of(event.user);
  user.events.push_back(event);
  ++events_;
  trim(user);
}

void HistoryCache::replace(const std::string& user, const std::vector<UserEvent>& events) {
  const std::lock_guard lock(mutex_);
  User& kept = of(user);
  events_ -= kept.events.size();
  kept.events.assign(events.begin(), events.end());
  events_ += kept.events.size();
  trim(kept);
}

std::vector<UserEvent> HistoryCache::get(const std::string& user, int64_t limit) {
  const std::lock_guard lock(mutex_);
  const auto found = index_.find(user);
  if (found == index_.end()) return {};
  users_.splice(users_.begin(), users_, found->second);
  const std::deque<UserEvent>& events = found->second->events;
  const auto n = std::min(static_cast<size_t>(std::clamp<int64_t>(limit, 0, kMaxHistory)), events.size());
  return {events.end() - static_cast<ptrdiff_t>(n), events.end()};
}

}  // namespace winnow::detail
