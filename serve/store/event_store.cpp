#include "serve/store/event_store.h"

#include <chrono>
#include <cmath>

#include "core/error.h"
#include "core/text.h"
#include "serve/store/detail/backends.h"

namespace winnow {
namespace {

void check_text(const std::string& text, const char* field, bool required, const std::string& where) {
  WN_CHECK(!required || !text.empty(), DataError, "{}: {}: must not be empty", where, field);
  WN_CHECK(text.size() <= kMaxEventText, DataError, "{}: {}: {} bytes, at most {} are allowed", where, field,
           text.size(), kMaxEventText);
  WN_CHECK(is_utf8(text), DataError, "{}: {}: {} is not UTF-8", where, field, quoted(text));
  const bool control = std::any_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7F; });
  WN_CHECK(!control, DataError, "{}: {}: {} has control characters", where, field, quoted(text));
}

}  // namespace

void check_event(const UserEvent& event, const std::string& where) {
  check_text(event.user, "user", true, where);
  check_text(event.item, "item", true, where);
  check_text(event.kind, "kind", true, where);
  check_text(event.request, "request", false, where);
  check_text(event.variant, "variant", false, where);
  WN_CHECK(std::isfinite(event.value), DataError, "{}: value: {} is not a finite number", where, event.value);
  WN_CHECK(event.propensity >= 0 && event.propensity <= 1, DataError, "{}: propensity: {} is not in [0, 1]", where,
           event.propensity);
  WN_CHECK(event.position >= -1, DataError, "{}: position: {} is below -1", where, event.position);
  WN_CHECK(event.time_us >= 0 && event.time_us <= kMaxEventTime, DataError,
           "{}: time_us: {} is not in [0, {}] (microseconds since 1970)", where, event.time_us, kMaxEventTime);
}

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
