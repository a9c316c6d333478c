#include <algorithm>
#include <deque>
#include <mutex>
#include <unordered_map>

#include "serve/store/detail/backends.h"

namespace winnow::detail {
namespace {

class MemoryStore final : public EventStore {
 public:
  int64_t append(std::span<const UserEvent> events) override {
    check_append(events);
    if (events.empty()) return 0;
    const std::lock_guard lock(mutex_);
    for (const UserEvent& event : events) {
      UserEvent& kept = log_.emplace_back(event);
      kept.sequence = static_cast<int64_t>(log_.size());
      if (kept.time_us == 0) kept.time_us = clock_us();
      of_user_[kept.user].push_back(log_.size() - 1);
    }
    return static_cast<int64_t>(log_.size());
  }

  int64_t last_sequence() const override {
    const std::lock_guard lock(mutex_);
    return static_cast<int64_t>(log_.size());
  }

  void read(int64_t after, int64_t limit, std::vector<UserEvent>& out) const override {
    out.clear();
    const std::lock_guard lock(mutex_);
    const auto size = static_cast<int64_t>(log_.size());
    check_offset("memory:", after, size);
    after = std::max<int64_t>(after, 0);
    const int64_t end = after + std::clamp<int64_t>(limit, 0, size - after);
    out.assign(log_.begin() + after, log_.begin() + end);
  }

  std::vector<UserEvent> history(const std::string& user, int64_t limit) const override {
    const std::lock_guard lock(mutex_);
    const auto found = of_user_.find(user);
    if (found == of_user_.end()) return {};
    const std::vector<size_t>& places = found->second;
    const auto n = static_cast<size_t>(std::clamp<int64_t>(limit, 0, kMaxHistory));
    std::vector<UserEvent> events;
    for (size_t i = places.size() - std::min(n, places.size()); i < places.size(); ++i)
      events.push_back(log_[places[i]]);
    return events;
  }

  StoreHealth health() const override { return {}; }

 private:
  mutable std::mutex mutex_;
  std::deque<UserEvent> log_;
  std::unordered_map<std::string, std::vector<size_t>> of_user_;
};

}  // namespace

std::unique_ptr<EventStore> open_memory_store() { return std::make_unique<MemoryStore>(); }

}  // namespace winnow::detail
