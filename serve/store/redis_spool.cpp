#include "serve/store/detail/redis_spool.h"

#include <algorithm>

#include "core/error.h"
#include "serve/store/json_event.h"

namespace winnow::detail {
namespace {

constexpr SqliteFormat kFormat{.application_id = 0x574E5350,  // "WNSP"
                               .version = 1,
                               .kind = "event spool",
                               .schema = WN_FAILED_COMMITS R"(CREATE TABLE waiting(
  id INTEGER PRIMARY KEY, writer TEXT NOT NULL, number INTEGER NOT NULL, event TEXT NOT NULL) STRICT;
)"};

constexpr size_t kPage = 1000;

}  // namespace

RedisSpool::RedisSpool(const std::string& path)
    : database_(path, SqliteDatabase::Access::Create, kFormat, /*exclusive=*/true),
      insert_(database_, "INSERT INTO waiting VALUES(?, ?, ?, ?)"),
      after_(database_, "SELECT id, writer, number, event FROM waiting WHERE id > ? ORDER BY id"),
      remove_(database_, "DELETE FROM waiting WHERE id <= ?"),
      size_(database_.number("SELECT count(*) FROM waiting")),
      last_row_(database_.number("SELECT ifnull(max(id), 0) FROM waiting")) {}

void RedisSpool::append(const RedisBatch& batch) {
  const std::lock_guard lock(mutex_);
  int64_t row = last_row_;
  database_.transaction([&] {
    for (size_t i = 0; i < batch.events.size(); ++i) {
      insert_.bind(1, ++row).bind(2, batch.writer).bind(3, batch.numbers[i]).bind(4, batch.events[i]);
      insert_.run();
    }
  });
  last_row_ = row;
  size_ += static_cast<int64_t>(batch.events.size());
}

bool RedisSpool::next(int64_t after_row, size_t limit, SpooledEvents& out) {
  out = {};
  const std::lock_guard lock(mutex_);
  const StatementReset reset(after_);
  after_.bind(1, after_row);
  while (out.events.size() < limit && after_.step()) {
    std::string writer = after_.text(1);
    if (out.events.empty())
      out.writer = std::move(writer);
    else if (writer != out.writer)
      break;
    out.last_row = after_.integer(0);
    out.numbers.push_back(after_.integer(2));
    out.events.push_back(after_.text(3));
    try {
      out.users.push_back(parse_event(out.events.back(), fmt::format("row {}", out.last_row)).user);
    } catch (const DataError& error) { raise<IoError>("{}: damaged: {}", path(), error.what()); }
  }
  return !out.events.empty();
}

void RedisSpool::remove(int64_t through_row) {
  const std::lock_guard lock(mutex_);
  int64_t removed = 0;
  database_.transaction([&] {
    remove_.bind(1, through_row);
    remove_.run();
    removed = sqlite3_changes64(database_.handle());
  });
  size_ -= removed;
}

int64_t RedisSpool::size() const {
  const std::lock_guard lock(mutex_);
  return size_;
}

std::vector<UserEvent> RedisSpool::latest(int64_t limit) {
  int64_t row = 0;
  {
    const std::lock_guard lock(mutex_);
    row = std::max<int64_t>(last_row_ - limit, 0);
  }
  std::vector<UserEvent> events;
  for (SpooledEvents some; next(row, kPage, some); row = some.last_row)
    for (const std::string& json : some.events) events.push_back(parse_event(json, path()));
  return events;
}

}  // namespace winnow::detail
