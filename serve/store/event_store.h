// What users did, kept for good: the log that histories, updates and reports read.
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

struct Event {
  int64_t sequence = 0;  // given by append(): 1, 2, ... without a hole
  int64_t time_us = 0;   // microseconds since 1970; 0: append() takes the clock's
  std::string user, item;
  std::string kind;       // "view", "click", "cart", "purchase", "rating", "impression", ...
  double value = 1;       // of a rating, a price, a dwell time
  std::string request;    // the answer that showed the item; "" none
  int32_t position = -1;  // its place there
  double propensity = 0;  // with which a policy chose it; 0: not logged
  std::string variant;    // of an A/B split; ""
  friend bool operator==(const Event&, const Event&) = default;
};

struct StoreHealth {
  bool ok = true;
  std::string text;  // of what is wrong: "redis 127.0.0.1:6379: connection refused, 12 events wait"
};

class EventStore {
 public:
  // "sqlite:PATH", "redis://HOST[:PORT][/DB]", "memory:". ConfigError: another scheme; IoError.
  static std::unique_ptr<EventStore> open(const std::string& url);
  virtual ~EventStore() = default;

  // All of them or none; the sequence of the last. Concurrent calls share one commit. DataError: a text over 256 bytes
  // or not UTF-8, an empty user, item or kind, a number that is not finite; IoError: nothing was kept.
  virtual int64_t append(std::span<const Event> events) = 0;
  virtual int64_t last_sequence() const = 0;
  // Events with sequence > after, at most `limit`, ascending.
  virtual void read(int64_t after, int64_t limit, std::vector<Event>& out) const = 0;
  virtual std::vector<Event> history(const std::string& user, int64_t limit) const = 0;
  virtual StoreHealth health() const = 0;
};

}  // namespace winnow
