// Batches that wait for Redis, in an SQLite file of this process alone.
#pragma once
#include <mutex>
#include <string>
#include <vector>

#include "serve/store/detail/redis_log.h"
#include "serve/store/detail/sqlite_database.h"

namespace winnow::detail {

// One that was read back: it owns its texts.
struct SpooledBatch {
  std::string writer;
  int64_t number = 0, last_row = 0;
  std::vector<std::string> users, events;
};

class RedisSpool {
 public:
  explicit RedisSpool(const std::string& path);  // IoError; also when another process has it

  void append(const RedisBatch& batch);  // durable when it returns; IoError: nothing was kept
  // The first batch behind a row; false: there is none.
  bool next(int64_t after_row, SpooledBatch& batch);
  void remove(int64_t through_row);
  int64_t size() const;                      // events
  std::vector<Event> latest(int64_t limit);  // ascending
  const std::string& path() const { return database_.name(); }

 private:
  mutable std::mutex mutex_;
  SqliteDatabase database_;
  SqliteStatement insert_, after_, remove_;
  int64_t size_ = 0, last_row_ = 0;
};

}  // namespace winnow::detail
