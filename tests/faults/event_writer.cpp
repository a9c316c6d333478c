// Appends to an event log and checks it; events.sh and spool.sh kill it, or make its system calls fail, one after
// another.
//   event_writer append <store> <batches> <file>      one batch after another, each again until it is kept; a byte of
//                                                     the file for each that was acknowledged
//   event_writer once <store> <batches> <file>        each is tried once
//   event_writer forward <store> <batches> <file> <batches in the spool> <milliseconds>
//                                                     half of the batches, all of the spool brought to Redis within the
//                                                     time, the other half
//   event_writer check <store> <acknowledged batches> <batches>     what must be there after a restart
// A batch is kBatch events; the event with sequence n has item n, whatever failed before: what was refused and yet
// kept, or kept twice, moves the rest. Exit codes: 0; 1 what failed is on stderr; 3 append gave up (every try failed).
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

#include "core/error.h"
#include "serve/store/event_store.h"

namespace {

using namespace winnow;

constexpr int64_t kBatch = 3;
constexpr int kTries = 4;

std::vector<UserEvent> batch_of(int64_t number) {
  std::vector<UserEvent> events(kBatch);
  for (int64_t i = 0; i < kBatch; ++i) {
    UserEvent& e = events[static_cast<size_t>(i)];
    e.user = "user " + std::to_string(number % 2);
    e.item = std::to_string(number * kBatch + i + 1);
    e.kind = std::string(200, 'k');  // some pages, so that a commit is several writes
    e.time_us = 1;
  }
  return events;
}

bool append_one(EventStore& store, int64_t number, int tries = kTries) {
  for (int i = 0; i < tries; ++i) {
    try {
      const int64_t last = store.append(batch_of(number));
      if (last != (number + 1) * kBatch && last != 0) {  // 0: it waits in the spool
        std::fprintf(stderr, "batch %ld ends with sequence %ld\n", static_cast<long>(number), static_cast<long>(last));
        std::exit(1);
      }
      return true;
    } catch (const IoError& error) { std::fprintf(stderr, "%s\n", error.what()); }
  }
  return false;
}

bool is_forwarded(const EventStore& store, std::chrono::milliseconds time) {
  const auto end = std::chrono::steady_clock::now() + time;
  while (!store.health().ok || store.health().waiting > 0) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

struct Forwarding {
  int64_t spooled = 0;
  std::chrono::milliseconds time{0};  // 0: not looked at
};

int append(const std::string& url, int64_t batches, const char* acknowledgements, bool once, const Forwarding& spool) {
  const int out = ::open(acknowledgements, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  std::unique_ptr<EventStore> store;
  for (int i = 0; i < kTries && !store; ++i) {
    try {
      store = EventStore::open(url);
    } catch (const IoError& error) { std::fprintf(stderr, "%s\n", error.what()); }
  }
  if (!store) return 3;
  for (int64_t b = 0; b < batches; ++b) {
    // as kill -9 would: the store is not closed
    if (b == batches / 2 && spool.time.count() > 0 && !is_forwarded(*store, spool.time)) ::_exit(3);
    if (!append_one(*store, spool.spooled + b, once ? 1 : kTries)) ::_exit(3);
    // by a call of its own, which no fault is injected into: pwritev2 is not one of SQLite's
    if (::pwritev2(out, std::array<iovec, 1>{iovec{const_cast<char*>("."), 1}}.data(), 1, b, 0) != 1) return 1;
  }
  return 0;
}

int check(const std::string& url, int64_t least, int64_t most) {
  const auto store = EventStore::open(url);
  WN_CHECK(is_forwarded(*store, std::chrono::minutes(1)), Error, "{}", store->health().text);
  std::vector<UserEvent> events;
  store->read(0, (most + 2) * kBatch, events);
  const auto size = static_cast<int64_t>(events.size());
  for (const UserEvent& e : events)
    WN_CHECK(e.item == std::to_string(e.sequence) && e.kind.size() == 200, Error, "event {} is that of item {}",
             e.sequence, e.item);
  WN_CHECK(size % kBatch == 0, Error, "{} events: half a batch", size);
  WN_CHECK(size >= least * kBatch && size <= most * kBatch, Error, "{} batches, expected {} to {}", size / kBatch,
           least, most);
  const auto history =
      static_cast<int64_t>(store->history("user 0", size).size() + store->history("user 1", size).size());
  WN_CHECK(history == size, Error, "histories hold {} of {} events", history, size);
  WN_CHECK(append_one(*store, size / kBatch), Error, "nothing can be appended");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string mode = argc > 1 ? argv[1] : "";
  if (argc != (mode == "forward" ? 7 : 5)) return 2;
  try {
    if (mode == "check") return check(argv[2], std::atol(argv[3]), std::atol(argv[4]));
    Forwarding spool;
    if (mode == "forward") spool = {std::atol(argv[5]), std::chrono::milliseconds(std::atol(argv[6]))};
    return append(argv[2], std::atol(argv[3]), argv[4], mode == "once", spool);
  } catch (const std::exception& error) { std::fprintf(stderr, "%s\n", error.what()); }
  return 1;
}
