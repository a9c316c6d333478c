#include "serve/store/event_store.h"

#include <chrono>

#include "core/error.h"
#include "core/text.h"
#include "serve/store/detail/backends.h"

namespace winnow {

std::unique_ptr<EventStore> EventStore::open(const std::string& url, bool create) {
  if (url == "memory:") return detail::open_memory_store();
  if (url.starts_with("sqlite:")) return detail::open_sqlite_store(url.substr(7), create);
  if (url.starts_with("redis://")) return detail::open_redis_store(url);
  raise<ConfigError>("store {}: expected sqlite:PATH, redis://HOST[:PORT][/DB] or memory:",
                     quoted(url.substr(0, url.find(':') + 1)));  // the rest may hold a password
}

namespace detail {

void check_append(std::span<const UserEvent> events) {
  WN_CHECK(events.size() <= kMaxAppend, DataError, "append(): {} events, at most {} at a time", events.size(),
           kMaxAppend);
  for (size_t i = 0; i < events.size(); ++i)
    check_event(events[i], events.size() == 1 ? "event" : fmt::format("events[{}]", i));
}

void check_offset(const std::string& store, int64_t after, int64_t last) {
  WN_CHECK(after <= last, IoError,
           "{}: events after {} were asked for, but the log ends at {}: it lost events or is not the log that was read "
           "before; begin again from 0 or bring the log back",
           store, after, last);
}

void check_follows(const std::string& store, int64_t before, int64_t sequence) {
  WN_CHECK(sequence == before + 1, IoError,
           "{}: event {} is followed by {}: events were removed; begin again behind the hole or bring the log back",
           store, before, sequence);
}

int64_t clock_us() {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace detail
}  // namespace winnow
