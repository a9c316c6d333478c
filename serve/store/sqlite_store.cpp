#include <algorithm>
#include <mutex>
#include <optional>

#include "core/error.h"
#include "serve/store/detail/backends.h"
#include "serve/store/detail/group_commit.h"
#include "serve/store/detail/sqlite_database.h"

namespace winnow::detail {
namespace {

constexpr SqliteFormat kFormat{.application_id = 0x574E4556,  // "WNEV"
                               .version = 1,
                               .kind = "event log",
                               .schema = R"(CREATE TABLE events(
  sequence INTEGER PRIMARY KEY, time_us INTEGER NOT NULL, user TEXT NOT NULL, item TEXT NOT NULL, kind TEXT NOT NULL,
  value REAL NOT NULL, request TEXT NOT NULL, position INTEGER NOT NULL, propensity REAL NOT NULL,
  variant TEXT NOT NULL) STRICT;
CREATE INDEX events_by_user ON events(user, sequence);
)" WN_FAILED_COMMITS};
constexpr size_t kGroup = 20'000;  // events of one commit

constexpr const char* kLast = "SELECT ifnull(max(sequence), 0) FROM events";
#define WN_EVENT_COLUMNS "sequence, time_us, user, item, kind, value, request, position, propensity, variant"

UserEvent event_of(SqliteStatement& row, const std::string& name) {
  UserEvent e;
  e.sequence = row.integer(0), e.time_us = row.integer(1);
  e.user = row.text(2), e.item = row.text(3), e.kind = row.text(4);
  e.value = row.real(5), e.request = row.text(6);
  const int64_t position = row.integer(7);
  e.propensity = row.real(8), e.variant = row.text(9);
  e.position = static_cast<int32_t>(position);
  try {
    WN_CHECK(e.position == position, DataError, "position: {} is not of 32 bits", position);
    check_event(e, fmt::format("event {}", e.sequence));
  } catch (const DataError& error) { raise<IoError>("{}: damaged: {}", name, error.what()); }
  return e;
}

// The one connection that writes; its statements go before it does.
class Writer {
 public:
  Writer(const std::string& path, bool create)
      : database_(path, create ? SqliteDatabase::Access::Create : SqliteDatabase::Access::Existing, kFormat),
        last_(database_, kLast),
        insert_(database_, "INSERT INTO events(" WN_EVENT_COLUMNS ") VALUES(?,?,?,?,?,?,?,?,?,?)") {}

  template <class Calls>
  void commit(const Calls& calls) {
    database_.transaction([&] {
      int64_t last = read_last();
      for (auto* call : calls) {
        for (const UserEvent& event : *call->work) insert(event, ++last);
        call->result = last;
      }
    });
  }

 private:
  int64_t read_last() {
    const StatementReset reset(last_);
    last_.step();
    return last_.integer(0);
  }

  void insert(const UserEvent& e, int64_t sequence) {
    insert_.bind(1, sequence).bind(2, e.time_us != 0 ? e.time_us : clock_us());
    insert_.bind(3, e.user).bind(4, e.item).bind(5, e.kind).bind(6, e.value).bind(7, e.request);
    insert_.bind(8, int64_t{e.position}).bind(9, e.propensity).bind(10, e.variant);
    insert_.run();
  }

  SqliteDatabase database_;
  SqliteStatement last_, insert_;
};

// A connection that reads, with its statements.
struct Reader {
  explicit Reader(const std::string& path)
      : database(path, SqliteDatabase::Access::Reader, kFormat),
        last(database, kLast),
        after(database, "SELECT " WN_EVENT_COLUMNS " FROM events WHERE sequence > ? ORDER BY sequence LIMIT ?"),
        of_user(database, "SELECT " WN_EVENT_COLUMNS " FROM events WHERE user = ? ORDER BY sequence DESC LIMIT ?") {}
  SqliteDatabase database;
  SqliteStatement last, after, of_user;
};

class SqliteStore final : public EventStore {
 public:
  SqliteStore(const std::string& path, bool create)
      : path_(path), writer_(path, create), commits_(kGroup, [this](auto calls) { commit(calls); }) {}

  int64_t append(std::span<const UserEvent> events) override {
    check_append(events);
    return events.empty() ? 0 : commits_.run(events);
  }

  int64_t last_sequence() const override {
    const Lent reader(*this);
    return last_of(*reader);
  }

  void read(int64_t after, int64_t limit, std::vector<UserEvent>& out) const override {
    out.clear();
    after = std::max<int64_t>(after, 0);
    const Lent reader(*this);
    {
      const StatementReset reset(reader->after);
      reader->after.bind(1, after).bind(2, std::max<int64_t>(limit, 0));
      while (reader->after.step()) {
        UserEvent event = event_of(reader->after, path_);
        check_follows(path_, out.empty() ? after : out.back().sequence, event.sequence);
        out.push_back(std::move(event));
      }
    }
    if (out.empty()) check_offset(path_, after, last_of(*reader));
  }

  std::vector<UserEvent> history(const std::string& user, int64_t limit) const override {
    const Lent reader(*this);
    const StatementReset reset(reader->of_user);
    reader->of_user.bind(1, user).bind(2, std::clamp<int64_t>(limit, 0, kMaxHistory));
    std::vector<UserEvent> events;
    while (reader->of_user.step()) events.push_back(event_of(reader->of_user, path_));
    std::reverse(events.begin(), events.end());
    return events;
  }

  StoreHealth health() const override {
    const std::lock_guard lock(mutex_);
    return {.ok = failure_.empty(), .text = failure_};
  }

 private:
  // A connection for the time of a call; as many are kept as were ever needed at once. One whose call threw goes.
  class Lent {
   public:
    explicit Lent(const SqliteStore& store) : store_(store), exceptions_(std::uncaught_exceptions()) {
      {
        const std::lock_guard lock(store.mutex_);
        if (!store.idle_.empty()) {
          reader_ = std::move(store.idle_.back());
          store.idle_.pop_back();
        }
      }
      if (!reader_) reader_ = std::make_unique<Reader>(store.path_);
    }
    ~Lent() {
      if (std::uncaught_exceptions() > exceptions_) return;
      const std::lock_guard lock(store_.mutex_);
      store_.idle_.push_back(std::move(reader_));
    }
    Lent(const Lent&) = delete;
    Lent& operator=(const Lent&) = delete;
    Reader& operator*() const { return *reader_; }
    Reader* operator->() const { return reader_.get(); }

   private:
    const SqliteStore& store_;
    std::unique_ptr<Reader> reader_;
    int exceptions_;
  };

  static int64_t last_of(Reader& reader) {
    const StatementReset reset(reader.last);
    reader.last.step();
    return reader.last.integer(0);
  }

  template <class Calls>
  void commit(const Calls& calls) {
    std::string failure;
    try {
      writer_.commit(calls);
    } catch (const Error& error) { failure = error.what(); }
    const std::lock_guard lock(mutex_);
    failure_ = failure.empty() ? "" : "the last append failed: " + failure;
    if (!failure.empty()) throw IoError(failure + "; nothing of this append was kept");
  }

  const std::string path_;
  Writer writer_;
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<Reader>> idle_;
  std::string failure_;
  GroupCommit<std::span<const UserEvent>> commits_;  // last: its thread uses the rest
};

}  // namespace

std::unique_ptr<EventStore> open_sqlite_store(const std::string& path, bool create) {
  return std::make_unique<SqliteStore>(path, create);
}

}  // namespace winnow::detail
