// The latest events of users as this process saw them: what history() has while Redis is away.
#pragma once
#include <deque>
#include <list>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "serve/store/event_store.h"

namespace winnow::detail {

class HistoryCache {
 public:
  // Events kept of one user, and of all; users not seen for the longest time go first.
  HistoryCache(size_t of_user, size_t of_all) : of_user_(of_user), of_all_(of_all) {}

  void push(const UserEvent& event);
  void replace(const std::string& user, const std::vector<UserEvent>& events);  // what Redis says
  std::vector<UserEvent> get(const std::string& user, int64_t limit);

 private:
  struct User {
    std::string name;
    std::deque<UserEvent> events;  // oldest first
  };
  User& of(const std::string& user);
  void trim(User& user);

  const size_t of_user_, of_all_;
  std::mutex mutex_;
  std::list<User> users_;  // the last seen first
  std::unordered_map<std::string, std::list<User>::iterator> index_;
  size_t events_ = 0;
};

}  // namespace winnow::detail
