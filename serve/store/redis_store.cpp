// Appends go to Redis while it answers. When it does not, they go to the spool, until a thread of its own has brought
// the spool to Redis: then, and only then, directly again, so that the order holds.
#include <sys/random.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <random>
#include <thread>
#include <utility>

#include "core/error.h"
#include "serve/store/detail/backends.h"
#include "serve/store/detail/group_commit.h"
#include "serve/store/detail/history_cache.h"
#include "serve/store/detail/redis_log.h"
#include "serve/store/detail/redis_spool.h"
#include "serve/store/json_event.h"

namespace winnow::detail {
namespace {

constexpr size_t kGroup = 1000;  // events of one commit: some 10 ms of the server's time
constexpr size_t kCachedEvents = 200'000, kCachedOfUser = 100;
constexpr auto kFirstPause = std::chrono::milliseconds(50), kLongestPause = std::chrono::milliseconds(5000),
               kLastWait = std::chrono::milliseconds(2000);
constexpr int64_t kForwardedAtOnce = 5000;  // events between two deletions from the spool

std::string random_id() {
  uint64_t words[2];
  WN_CHECK(::getrandom(words, sizeof words, 0) == sizeof words, IoError, "getrandom: no random numbers");
  return fmt::format("{:016x}{:016x}", words[0], words[1]);
}

// What one append() hands over.
struct RedisWork {
  std::vector<UserEvent> events;
  std::vector<std::string> json;
  size_t size() const { return events.size(); }
};

class RedisStore final : public EventStore {
 public:
  explicit RedisStore(const RedisUrl& url);
  ~RedisStore() override;
  RedisStore(const RedisStore&) = delete;
  RedisStore& operator=(const RedisStore&) = delete;

  int64_t append(std::span<const UserEvent> events) override;
  int64_t last_sequence() const override;
  void read(int64_t after, int64_t limit, std::vector<UserEvent>& out) const override;
  std::vector<UserEvent> history(const std::string& user, int64_t limit) const override;
  StoreHealth health() const override;

 private:
  using Connection = std::unique_ptr<RedisConnection>;
  using Call = GroupCommit<RedisWork>::Call;

  void commit(std::span<Call* const> calls);
  int64_t send(const RedisBatch& batch, bool& unknown);
  void note_taken(std::span<Call* const> calls, int64_t last);
  template <class F>
  auto ask(F&& question) const;
  void go_down(const std::string& why) const;
  void bring_back();
  void reconnect();
  void forward(RedisConnection& redis);

  const RedisUrl url_;
  const std::string writer_ = random_id();
  std::optional<RedisSpool> spool_;
  mutable HistoryCache cache_;

  // reachable_: the last command was answered. direct_: appends go to Redis; only bring_back() sets it, and under
  // order_, which commit() holds, so that nothing is sent past what lies in the spool.
  mutable std::atomic<bool> reachable_ = true, direct_ = false;
  std::mutex order_;
  Connection connection_;  // of commit()
  int64_t number_ = 0;     // of its last event

  mutable std::mutex mutex_;  // of the rest
  mutable std::condition_variable wake_;
  mutable std::vector<Connection> idle_;
  mutable std::string down_;
  std::string note_, lost_;
  int64_t seen_ = 0;  // the highest sequence that was acknowledged here
  bool stop_ = false;

  std::thread back_;  // bring_back()
  std::optional<GroupCommit<RedisWork>> commits_;
};

RedisStore::RedisStore(const RedisUrl& url)
    : url_(url), cache_(std::min(kCachedOfUser, static_cast<size_t>(url.history)), kCachedEvents) {
  if (!url_.spool.empty()) {
    spool_.emplace(url_.spool);
    for (const UserEvent& event : spool_->latest(static_cast<int64_t>(kCachedEvents))) cache_.push(event);
  }
  try {
    // what lies in the spool is brought in the background: opening takes no longer for it
    if (!spool_ || spool_->size() == 0) reconnect();
  } catch (const IoError& error) {
    if (!spool_) throw;
    go_down(error.what());
  }
  commits_.emplace(kGroup, [this](std::span<Call* const> calls) { commit(calls); });
  back_ = std::thread([this] { bring_back(); });
}

RedisStore::~RedisStore() {
  commits_.reset();
  {
    std::unique_lock lock(mutex_);
    // a short program that found the server back leaves nothing in the spool
    wake_.wait_for(lock, kLastWait, [&] { return direct_ || !reachable_; });
    stop_ = true;
  }
  wake_.notify_all();
  back_.join();
}

int64_t RedisStore::append(std::span<const UserEvent> events) {
  check_append(events);
  if (events.empty()) return 0;
  RedisWork work{.events = {events.begin(), events.end()}, .json = {}};
  for (UserEvent& event : work.events) {
    event.sequence = 0;
    if (event.time_us == 0) event.time_us = clock_us();
    work.json.push_back(event_json(event));
  }
  return commits_->run(work);
}

void RedisStore::commit(std::span<Call* const> calls) {
  const std::lock_guard lock(order_);
  RedisBatch batch{.writer = writer_, .numbers = {}, .users = {}, .events = {}};
  for (const Call* call : calls)
    for (size_t i = 0; i < call->work->size(); ++i) {
      batch.numbers.push_back(++number_);
      batch.users.push_back(call->work->events[i].user);
      batch.events.push_back(call->work->json[i]);
    }
  bool unknown = false;  // whether Redis took it
  if (direct_) {
    try {
      note_taken(calls, send(batch, unknown));
      return;
    } catch (const IoError& error) { go_down(error.what()); }
  }
  const char* outcome =
      unknown ? "; it is not known whether the events of this append were kept" : "; nothing of this append was kept";
  if (!spool_) {
    const std::lock_guard state(mutex_);
    throw IoError((down_.empty() ? url_.name() + ": is coming back" : down_) + outcome +
                  " (a spool takes them while Redis is away: ?spool=PATH)");
  }
  // With the same numbers: if Redis took the events after all, it does not take them again.
  try {
    spool_->append(batch);
  } catch (const IoError& error) { throw IoError(error.what() + std::string(outcome)); }
  for (const Call* call : calls)
    for (const UserEvent& event : call->work->events) cache_.push(event);
}

// A connection that was used before may have been closed meanwhile: one more try then, which the batch's number allows.
int64_t RedisStore::send(const RedisBatch& batch, bool& unknown) {
  while (true) {
    const bool fresh = connection_ == nullptr;
    if (fresh) connection_ = std::make_unique<RedisConnection>(url_);
    try {
      return append_batch(*connection_, url_, batch);
    } catch (const IoError&) {
      if (!connection_->broken()) throw;
      unknown = true;
      const bool again = !fresh && !connection_->timed_out();
      connection_.reset();
      if (!again) throw;
    }
  }
}

void RedisStore::note_taken(std::span<Call* const> calls, int64_t last) {
  int64_t sequence = last;
  for (const Call* call : calls) sequence -= static_cast<int64_t>(call->work->size());
  {
    const std::lock_guard lock(mutex_);
    if (sequence < seen_)
      lost_ = fmt::format("{}: its log lost events: {} were acknowledged, then it ended at {}", url_.name(), seen_,
                          sequence);
    seen_ = last;
  }
  for (Call* call : calls) {
    for (UserEvent event : call->work->events) {
      event.sequence = ++sequence;
      cache_.push(event);
    }
    call->result = sequence;
  }
}

// One question on a connection of its own; a second try where a kept one had been closed. IoError at once while Redis
// is known to be away.
template <class F>
auto RedisStore::ask(F&& question) const {
  while (true) {
    Connection redis;
    {
      const std::lock_guard lock(mutex_);
      if (!reachable_) throw IoError(down_);
      if (!idle_.empty()) {
        redis = std::move(idle_.back());
        idle_.pop_back();
      }
    }
    const bool fresh = redis == nullptr;
    try {
      if (fresh) redis = std::make_unique<RedisConnection>(url_);
      auto answer = question(*redis);
      const std::lock_guard lock(mutex_);
      idle_.push_back(std::move(redis));
      return answer;
    } catch (const IoError& error) {
      if (redis && !redis->broken()) throw;
      if (fresh || redis->timed_out()) {
        go_down(error.what());
        throw;
      }
    }
  }
}

int64_t RedisStore::last_sequence() const {
  return ask([&](RedisConnection& redis) { return detail::last_sequence(redis, url_); });
}

void RedisStore::read(int64_t after, int64_t limit, std::vector<UserEvent>& out) const {
  after = std::max<int64_t>(after, 0);
  out = ask([&](RedisConnection& redis) {
    std::vector<UserEvent> events;
    read_events(redis, url_, after, limit, events);
    for (size_t i = 0; i < events.size(); ++i)
      check_follows(url_.name(), i == 0 ? after : events[i - 1].sequence, events[i].sequence);
    if (events.empty()) check_offset(url_.name(), after, detail::last_sequence(redis, url_));
    return events;
  });
}

std::vector<UserEvent> RedisStore::history(const std::string& user, int64_t limit) const {
  if (direct_) {
    try {
      std::vector<UserEvent> events =
          ask([&](RedisConnection& redis) { return read_history(redis, url_, user, std::max<int64_t>(limit, 0)); });
      if (limit >= static_cast<int64_t>(kCachedOfUser) || static_cast<int64_t>(events.size()) < limit)
        cache_.replace(user, events);
      return events;
    } catch (const IoError&) {
      if (reachable_) throw;  // an answer that makes no sense
    }
  }
  return cache_.get(user, limit);
}

StoreHealth RedisStore::health() const {
  StoreHealth health;
  if (spool_) health.waiting = spool_->size();
  const std::lock_guard lock(mutex_);
  const auto say = [&](const std::string& text) { health.text += (health.text.empty() ? "" : "; ") + text; };
  if (!direct_) {
    health.ok = false;
    say(down_.empty() ? url_.name() + ": is back" : down_);
    say("histories are those this process saw");
  }
  if (health.waiting > 0) say(fmt::format("{} events wait in {}", health.waiting, url_.spool));
  if (!lost_.empty()) {
    health.ok = false;
    say(lost_);
  }
  if (!note_.empty()) say(note_);
  return health;
}

void RedisStore::go_down(const std::string& why) const {
  {
    const std::lock_guard lock(mutex_);
    reachable_ = direct_ = false;
    down_ = why;
    idle_.clear();
  }
  wake_.notify_all();
}

void RedisStore::bring_back() {
  std::minstd_rand random(static_cast<unsigned>(std::hash<std::string>{}(writer_)));
  auto pause = kFirstPause;
  while (true) {
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [&] { return stop_ || !direct_; });
      // replicas that lost the server at the same moment do not come back at the same moment
      const auto length = pause * std::uniform_int_distribution<int>(75, 125)(random) / 100;
      if (!reachable_) wake_.wait_for(lock, length, [&] { return stop_; });
      if (stop_) return;
    }
    try {
      reconnect();
      pause = kFirstPause;
    } catch (const Error& error) {
      go_down(error.what());
      pause = std::min(2 * pause, kLongestPause);
    }
  }
}

// Connects, forwards the spool and lets appends go to Redis again.
void RedisStore::reconnect() {
  auto redis = std::make_unique<RedisConnection>(url_);
  probe_writes(*redis, url_);
  std::string note = durability_note(*redis);
  {
    const std::lock_guard lock(mutex_);
    reachable_ = true;
    down_.clear();
    note_ = std::move(note);
  }
  // Under order_ appends wait. That is how the end of the spool is reached; and where they come faster than they are
  // forwarded, how it is reached at all.
  bool hold = false;
  for (int64_t left = spool_ ? spool_->size() : 0;;) {
    std::unique_lock order(order_, std::defer_lock);
    if (hold || left <= kForwardedAtOnce) order.lock();
    if (spool_) forward(*redis);
    const int64_t before = std::exchange(left, spool_ ? spool_->size() : 0);
    hold = left >= before;
    const std::lock_guard state(mutex_);
    if (stop_) return;
    if (left > 0 || !order.owns_lock()) continue;
    connection_ = std::move(redis);
    direct_ = true;
    wake_.notify_all();
    return;
  }
}

// The first events of the spool, then their deletion; killed between the two, the next start sends them again and Redis
// knows their numbers.
void RedisStore::forward(RedisConnection& redis) {
  int64_t row = 0, last = 0, events = 0;
  for (SpooledEvents some; events < kForwardedAtOnce && spool_->next(row, kGroup, some);) {
    const RedisBatch batch{.writer = some.writer,
                           .numbers = some.numbers,
                           .users = {some.users.begin(), some.users.end()},
                           .events = {some.events.begin(), some.events.end()}};
    last = append_batch(redis, url_, batch);
    row = some.last_row;
    events += static_cast<int64_t>(some.events.size());
  }
  if (events == 0) return;
  spool_->remove(row);
  const std::lock_guard lock(mutex_);
  seen_ = std::max(seen_, last);
}

}  // namespace

std::unique_ptr<EventStore> open_redis_store(const std::string& url) {
  return std::make_unique<RedisStore>(RedisUrl::parse(url));
}

}  // namespace winnow::detail
