// Events that wait for Redis, in an SQLite file of this process alone.
#pragma once
#include <mutex>
#include <string>
#include <vector>

#include "serve/store/detail/redis_log.h"
#include "serve/store/detail/sqlite_database.h"

namespace winnow::detail {

// What was read back: it owns its texts.
struct SpooledEvents {
  std::string writer;
  std::vector<int64_t> numbers;
  std::vector<std::string> users, events;
  int64_t last_row = 0;
};

class RedisSpool {
 public:
  explicit RedisSpool(const std::string& path);  // IoError; also when another process has it

  void append(const RedisBatch& batch);  // durable when it returns; IoError: nothing was kept
  // The first events of one writer behind a row, at most `limit`; false: there are none.
  bool next(int64_t after_row, size_t limit, SpooledEvents& out);
  void remove(int64_t through_row);
  int64_t size() const;                          // events
  std::vector<UserEvent> latest(int64_t limit);  // ascending
  const std::string& path() const { return database_.name(); }

 private:
  mutable std::mutex mutex_;
  SqliteDatabase database_;
  SqliteStatement insert_, after_, remove_;
  int64_t size_ = 0, last_row_ = 0;
};

}  // namespace winnow::detail
