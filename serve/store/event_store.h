// What users did, kept for good: the log that histories, updates and reports read (docs/event_store.md).
//
//   auto store = EventStore::open("sqlite:events.db");     // or redis://127.0.0.1:6379/0
//   const int64_t last = store->append(events);            // durable when it returns
//   store->read(from, 1000, out);                          // in order of sequence, from + 1 on
//   store->history("196", 50);                             // the user's latest, oldest first
//
// Every method may be called from any thread. What append() returned survives kill -9 and, with sqlite, a power cut.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace winnow {

struct UserEvent {
  int64_t sequence = 0;  // given by append(): 1, 2, ... without a hole
  int64_t time_us = 0;   // microseconds since 1970; 0: append() takes the clock's
  std::string user, item;
  std::string kind;       // "view", "click", "cart", "purchase", "rating", "impression", ...
  double value = 1;       // of a rating, a price, a dwell time
  std::string request;    // the answer that showed the item; "" none
  int32_t position = -1;  // its place there
  double propensity = 0;  // with which a policy chose it; 0: not logged
  std::string variant;    // of an A/B split; ""
  friend bool operator==(const UserEvent&, const UserEvent&) = default;
};

constexpr size_t kMaxEventText = 256;                  // bytes of a text of an event
constexpr size_t kMaxAppend = 10'000;                  // events of one append()
constexpr int64_t kMaxHistory = 10'000;                // events of one history()
constexpr int64_t kMaxEventTime = 253402300799999999;  // the last microsecond of the year 9999

// DataError "where: field: rule": a text over kMaxEventText bytes, not UTF-8 or with control characters, an empty user,
// item or kind, a number that is not finite, a time outside [0, kMaxEventTime], a position below -1, a propensity
// outside [0, 1].
void check_event(const UserEvent& event, const std::string& where);

struct StoreHealth {
  bool ok = true;
  // What is wrong, "redis 127.0.0.1:6379: connection refused; 12 events wait in spool.db"; with ok, what deserves a
  // look: "redis 127.0.0.1:6379: appendfsync is everysec: ..."; else "".
  std::string text;
  int64_t waiting = 0;  // events acknowledged from the spool that Redis does not have yet
};

class EventStore {
 public:
  // "sqlite:PATH"
  // "redis://[USER@]HOST[:PORT][/DB][?OPTION=VALUE&...]", options:
  //    spool=PATH           where appends go while Redis is away
  //    password_file=PATH   its first line is the password
  //    timeout_ms=500       of connecting and of each command, 1 to 60000
  //    history=500          events kept for history() of a user, 1 to kMaxHistory
  //    prefix=winnow        of all keys, [A-Za-z0-9_.:-]
  // "memory:"               gone with the process; for tests and trials
  // create: false refuses an SQLite file that is not there. ConfigError: another scheme or option; IoError: a file that
  // is damaged, of another program or of a later version; Redis that does not answer, unless there is a spool.
  static std::unique_ptr<EventStore> open(const std::string& url, bool create = true);
  virtual ~EventStore() = default;

  // All of them or none; the sequence of the last, 0 when they wait in the spool for Redis to give it, or for no
  // events. Concurrent calls share one commit. DataError: check_event(), more than kMaxAppend; IoError: nothing was
  // kept, or, with Redis away and no spool that takes them, a text that says that it is not known.
  virtual int64_t append(std::span<const UserEvent> events) = 0;
  // 0 before the first. IoError.
  virtual int64_t last_sequence() const = 0;
  // Events with sequence > after, at most `limit`, ascending and without a hole. IoError also when the log ends before
  // `after`: it is not the log that was read before, or it lost events.
  virtual void read(int64_t after, int64_t limit, std::vector<UserEvent>& out) const = 0;
  // By sequence; at most kMaxHistory. Redis away: what this process saw of the user (sequence 0 while in the spool).
  virtual std::vector<UserEvent> history(const std::string& user, int64_t limit) const = 0;
  virtual StoreHealth health() const = 0;
};

}  // namespace winnow
