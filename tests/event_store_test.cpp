// serve/store/event_store.h: the same behaviour of every store, and what the SQLite file withstands.
#include "serve/store/event_store.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>

#include <atomic>
#include <fstream>
#include <random>
#include <thread>

#include "tests/data_files.h"
#include "tests/error_text.h"
#include "tests/redis_server.h"

namespace winnow {
namespace {

using Events = std::vector<UserEvent>;

UserEvent event(const std::string& user, const std::string& item, const std::string& kind = "click") {
  UserEvent e;
  e.user = user, e.item = item, e.kind = kind, e.time_us = 1'700'000'000'000'000;
  return e;
}

Events all_of(const EventStore& store, int64_t page = 100'000) {
  Events all, some;
  do {
    store.read(all.empty() ? 0 : all.back().sequence, page, some);
    all.insert(all.end(), some.begin(), some.end());
  } while (!some.empty());
  return all;
}

class EveryStore : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (GetParam() == "redis") {
      WN_SKIP_WITHOUT_REDIS();
      static RedisServer server;
      static int tests = 0;
      url_ = server.url("timeout_ms=60000&prefix=test" + std::to_string(++tests));
    } else {
      url_ = GetParam() == "sqlite" ? "sqlite:" + directory_.path() + "/events.db" : "memory:";
    }
  }
  std::unique_ptr<EventStore> open() const { return EventStore::open(url_); }

  TemporaryDirectory directory_;
  std::string url_;
};

TEST_P(EveryStore, GivesSequencesFromOneAndReadsThemInPages) {
  const auto store = open();
  EXPECT_EQ(store->last_sequence(), 0);
  EXPECT_TRUE(all_of(*store).empty());
  EXPECT_EQ(store->append(std::vector{event("u", "a")}), 1);
  EXPECT_EQ(store->append(std::vector{event("v", "b"), event("u", "c"), event("u", "d")}), 4);
  EXPECT_EQ(store->append({}), 0);
  EXPECT_EQ(store->last_sequence(), 4);
  Events page;
  store->read(1, 2, page);
  ASSERT_EQ(page.size(), 2u);
  EXPECT_EQ(page[0].sequence, 2);
  EXPECT_EQ(page[1].item, "c");
  store->read(4, 10, page);
  EXPECT_TRUE(page.empty());
  store->read(-5, 0, page);
  EXPECT_TRUE(page.empty());
  const Events all = all_of(*store, 3);
  ASSERT_EQ(all.size(), 4u);
  for (size_t i = 0; i < 4; ++i) EXPECT_EQ(all[i].sequence, static_cast<int64_t>(i + 1));
}

TEST_P(EveryStore, KeepsEveryMemberAsItWas) {
  const auto store = open();
  Events events = {event("ü\"\\'", "日本", "rating"), event(std::string(256, 'u'), " ", "click"),
                   event("u", "%00{}[]")};
  events[0].value = -0.1, events[0].request = "r-1", events[0].position = 7, events[0].propensity = 0.1 + 0.2,
  events[0].variant = "B";
  events[1].value = 1e-308, events[1].position = 2147483647, events[1].propensity = 1, events[1].time_us = 1;
  events[2].value = 1.7976931348623157e308, events[2].time_us = kMaxEventTime;
  EXPECT_EQ(store->append(events), 3);
  for (size_t i = 0; i < 3; ++i) events[i].sequence = static_cast<int64_t>(i + 1);
  EXPECT_EQ(all_of(*store), events);
  EXPECT_EQ(store->history("ü\"\\'", 5), Events{events[0]});
}

TEST_P(EveryStore, TakesTheClockWhereNoTimeIsGiven) {
  const auto store = open();
  UserEvent e = event("u", "a");
  e.time_us = 0;
  const auto now = [] {
    return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch())
        .count();
  };
  const int64_t before = now();
  store->append(std::vector{e});
  const int64_t time = all_of(*store).at(0).time_us;
  EXPECT_GE(time, before);
  EXPECT_LE(time, now());
}

TEST_P(EveryStore, HistoryIsTheLatestOfTheUserOldestFirst) {
  const auto store = open();
  Events events;
  for (int i = 0; i < 60; ++i) events.push_back(event(i % 3 == 0 ? "u" : "v", std::to_string(i)));
  store->append(events);
  const Events latest = store->history("u", 4);
  ASSERT_EQ(latest.size(), 4u);
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(latest[i].item, std::to_string(48 + 3 * i));
    EXPECT_EQ(latest[i].sequence, static_cast<int64_t>(49 + 3 * i));
  }
  EXPECT_EQ(store->history("u", 100).size(), 20u);
  EXPECT_TRUE(store->history("u", 0).empty());
  EXPECT_TRUE(store->history("w", 10).empty());
  EXPECT_TRUE(store->history("", 10).empty());
}

TEST_P(EveryStore, RefusesAWholeAppendForOneBadEvent) {
  const auto store = open();
  const auto refused = [&](auto change) {
    UserEvent bad = event("u", "a");
    change(bad);
    return text_of<DataError>([&] { store->append(std::vector{event("u", "a"), bad}); });
  };
  EXPECT_EQ(refused([](UserEvent& e) { e.user = ""; }), "events[1]: user: must not be empty");
  EXPECT_EQ(refused([](UserEvent& e) { e.item = std::string(257, 'x'); }),
            "events[1]: item: 257 bytes, at most 256 are allowed");
  EXPECT_EQ(refused([](UserEvent& e) { e.kind = "\xff"; }), "events[1]: kind: '\\xff' is not UTF-8");
  EXPECT_EQ(refused([](UserEvent& e) { e.request = "a\nb"; }), "events[1]: request: 'a\\x0ab' has control characters");
  EXPECT_EQ(refused([](UserEvent& e) { e.value = NAN; }), "events[1]: value: nan is not a finite number");
  EXPECT_EQ(refused([](UserEvent& e) { e.propensity = 1.5; }), "events[1]: propensity: 1.5 is not in [0, 1]");
  EXPECT_EQ(refused([](UserEvent& e) { e.position = -2; }), "events[1]: position: -2 is below -1");
  EXPECT_NE(refused([](UserEvent& e) { e.time_us = -1; }).find("time_us: -1 is not in"), std::string::npos);
  EXPECT_NE(text_of<DataError>([&] { store->append(Events(kMaxAppend + 1, event("u", "a"))); }).find("at most 10000"),
            std::string::npos);
  EXPECT_EQ(store->last_sequence(), 0);
  EXPECT_EQ(store->append(std::vector{event("u", "a")}), 1);
}

TEST_P(EveryStore, ConcurrentAppendsHaveNoHoleAndKeepTheirOrder) {
  const auto store = open();
  constexpr int kThreads = 16, kAppends = 20, kBatch = 3;
  std::vector<std::thread> threads;
  std::atomic<bool> stop = false;
  std::thread reader([&] {  // sees a log without holes at any time: read() throws otherwise
    size_t seen = 0;
    while (!stop) {
      const Events now = all_of(*store, 50);
      EXPECT_GE(now.size(), seen);
      EXPECT_EQ(now.size() % kBatch, 0u) << "half a batch";
      seen = now.size();
    }
  });
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&, t] {
      int64_t before = 0;
      for (int i = 0; i < kAppends; ++i) {
        const int64_t last = store->append(Events(kBatch, event("user " + std::to_string(t), std::to_string(i))));
        EXPECT_GT(last, before);
        before = last;
        Events own;
        store->read(last - kBatch, kBatch, own);
        ASSERT_EQ(own.size(), static_cast<size_t>(kBatch));
        for (const UserEvent& e : own) EXPECT_EQ(e.user + e.item, "user " + std::to_string(t) + std::to_string(i));
      }
    });
  for (std::thread& thread : threads) thread.join();
  stop = true;
  reader.join();
  EXPECT_EQ(all_of(*store).size(), static_cast<size_t>(kThreads * kAppends * kBatch));
  EXPECT_EQ(store->last_sequence(), kThreads * kAppends * kBatch);
  for (int t = 0; t < kThreads; ++t) {
    const Events history = store->history("user " + std::to_string(t), 1000);
    ASSERT_EQ(history.size(), static_cast<size_t>(kAppends * kBatch));
    for (size_t i = 0; i < history.size(); ++i) EXPECT_EQ(history[i].item, std::to_string(i / kBatch));
  }
}

TEST_P(EveryStore, SaysWhenTheLogEndsBeforeTheOffset) {
  const auto store = open();
  store->append(std::vector{event("u", "a")});
  Events out;
  EXPECT_NE(
      text_of<IoError>([&] { store->read(2, 10, out); }).find("events after 2 were asked for, but the log ends at 1"),
      std::string::npos);
}

TEST_P(EveryStore, IsHealthy) {
  const auto store = open();
  const StoreHealth health = store->health();
  EXPECT_TRUE(health.ok) << health.text;
  EXPECT_EQ(health.text, "");
  EXPECT_EQ(health.waiting, 0);
}

TEST_P(EveryStore, TwoOfThemShareALogThatOutlivesThem) {
  if (GetParam() == "memory") GTEST_SKIP() << "is gone with its object";
  {
    const auto one = open(), other = open();
    std::thread thread([&] {
      for (int i = 0; i < 25; ++i) one->append(std::vector{event("u", "a"), event("u", "b")});
    });
    for (int i = 0; i < 25; ++i) other->append(std::vector{event("u", "a"), event("u", "b")});
    thread.join();
    EXPECT_EQ(one->last_sequence(), 100);
  }
  const auto again = open();
  const Events all = all_of(*again);
  ASSERT_EQ(all.size(), 100u);
  for (size_t i = 0; i < all.size(); ++i) EXPECT_EQ(all[i].item, i % 2 == 0 ? "a" : "b");
  EXPECT_EQ(again->append(std::vector{event("u", "c")}), 101);
  EXPECT_EQ(again->history("u", 1).at(0).item, "c");
}

INSTANTIATE_TEST_SUITE_P(Stores, EveryStore, testing::Values("memory", "sqlite", "redis"),
                         [](const auto& store) { return store.param; });

class SqliteStore : public testing::Test {
 protected:
  std::string path() const { return directory_.path() + "/events.db"; }
  std::unique_ptr<EventStore> open() const { return EventStore::open("sqlite:" + path()); }
  std::string refusal() const {
    return text_of<IoError>([&] { open(); });
  }
  void sql(const std::string& text) const {
    sqlite3* database = nullptr;
    ASSERT_EQ(sqlite3_open(path().c_str(), &database), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(database, text.c_str(), nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(database);
    sqlite3_close(database);
  }
  std::string bytes() const {
    std::ifstream in(path(), std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  TemporaryDirectory directory_;
};

TEST_F(SqliteStore, RefusesWhatIsNotItsOwnAndLeavesItAsItWas) {
  directory_.write("events.db", "user,item\n1,2\n" + std::string(5000, 'x'));
  EXPECT_NE(refusal().find("file is not a database"), std::string::npos) << refusal();
  std::filesystem::remove(path());
  sql("CREATE TABLE people(name TEXT); INSERT INTO people VALUES('a')");
  const std::string before = bytes();
  EXPECT_NE(refusal().find("not an event log of winnow"), std::string::npos) << refusal();
  EXPECT_EQ(bytes(), before);
  std::filesystem::remove(path());
  std::filesystem::create_directory(path());
  EXPECT_NE(refusal().find("is not a regular file"), std::string::npos) << refusal();
}

TEST_F(SqliteStore, RefusesALaterVersionAndAForeignSchema) {
  open();
  sql("PRAGMA user_version = 2");
  EXPECT_NE(refusal().find("an event log of version 2; this program reads version 1"), std::string::npos);
  sql("PRAGMA user_version = 1; CREATE TRIGGER t AFTER INSERT ON events BEGIN DELETE FROM events; END");
  EXPECT_NE(refusal().find("its tables are not those"), std::string::npos);
  sql("DROP TRIGGER t");
  EXPECT_EQ(refusal(), "no error");
}

TEST_F(SqliteStore, AMissingFileIsMadeOnlyWhereThatIsAsked) {
  EXPECT_NE(text_of<IoError>([&] { EventStore::open("sqlite:" + path(), false); }).find("No such file"),
            std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(path()));
  EXPECT_NE(text_of<ConfigError>([] { EventStore::open("sqlite:"); }).find("a path is needed"), std::string::npos);
  EXPECT_NE(text_of<IoError>([&] { EventStore::open("sqlite:" + path() + "/no/such"); }).find("No such file"),
            std::string::npos);
  const std::string text = text_of<ConfigError>([] { EventStore::open("postgres://u:secret@host"); });
  EXPECT_NE(text.find("expected sqlite:PATH"), std::string::npos);
  EXPECT_EQ(text.find("secret"), std::string::npos);
}

TEST_F(SqliteStore, NamesThatSqliteTreatsSpeciallyArePlainFiles) {
  const auto old = std::filesystem::current_path();
  std::filesystem::current_path(directory_.path());
  for (const char* name : {":memory:", "file:events?mode=memory"}) {
    EventStore::open(std::string("sqlite:") + name)->append(std::vector{event("u", "a")});
    EXPECT_EQ(EventStore::open(std::string("sqlite:") + name, false)->last_sequence(), 1) << name;
  }
  std::filesystem::current_path(old);
}

TEST_F(SqliteStore, EventsRemovedByHandAreAHole) {
  open()->append(Events(5, event("u", "a")));
  sql("DELETE FROM events WHERE sequence = 3");
  const auto store = open();
  EXPECT_NE(text_of<IoError>([&] { all_of(*store); }).find("event 2 is followed by 4"), std::string::npos);
}

TEST_F(SqliteStore, AFullDiskRefusesAnAppendAndTheNextOneWorksWhenThereIsSpace) {
  const auto store = open();
  store->append(std::vector{event("u", "a")});
  const auto ignored = ::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  rlimit full = before;
  full.rlim_cur = std::filesystem::file_size(path() + "-wal");
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &full), 0);
  const std::string refused = text_of<IoError>([&] { store->append(Events(1000, event("u", "b"))); });
  const StoreHealth ill = store->health();
  const size_t readable = all_of(*store).size();
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  ::signal(SIGXFSZ, ignored);
  EXPECT_NE(refused.find("nothing of this append was kept"), std::string::npos) << refused;
  EXPECT_NE(refused.find("events.db"), std::string::npos) << refused;
  EXPECT_FALSE(ill.ok);
  EXPECT_NE(ill.text.find("the last append failed"), std::string::npos) << ill.text;
  EXPECT_EQ(readable, 1u);
  EXPECT_EQ(store->append(Events(1000, event("u", "c"))), 1001);
  EXPECT_TRUE(store->health().ok);
  const Events all = all_of(*store);
  EXPECT_EQ(all.size(), 1001u);
  EXPECT_EQ(all[1].item, "c");
}

TEST_F(SqliteStore, ADamagedFileIsAnErrorAndNeverACrash) {
  Events events;
  for (int i = 0; i < 2000; ++i) events.push_back(event("user " + std::to_string(i % 37), std::to_string(i)));
  open()->append(events);
  const std::string whole = bytes();
  ASSERT_GT(whole.size(), 100'000u);
  std::mt19937 random(7);
  int refused = 0, noticed = 0;
  for (int round = 0; round < 150; ++round) {
    std::string damaged = whole;
    if (round % 5 == 0) {
      damaged.resize(random() % damaged.size());
    } else {
      // whole runs of bytes, so that pages break in their structure and not only in a text
      const size_t at = round % 5 == 1 ? random() % 4096 : random() % (damaged.size() - 64);
      for (size_t i = 0; i < 1u << random() % 7; ++i) damaged[at + i] = static_cast<char>(random());
    }
    directory_.write("events.db", damaged);
    for (const char* more : {"-wal", "-shm"}) std::filesystem::remove(path() + more);
    std::unique_ptr<EventStore> store;
    try {
      store = open();
    } catch (const IoError& error) {
      ++refused;
      EXPECT_NE(std::string(error.what()).find("events.db"), std::string::npos) << error.what();
      continue;
    }
    try {
      all_of(*store);
      for (int u = 0; u < 37; ++u) store->history("user " + std::to_string(u), 100);
      store->append(events);
    } catch (const IoError& error) { ++noticed; }
  }
  EXPECT_GT(refused, 50);
  EXPECT_GT(noticed, 0);
}

TEST_F(SqliteStore, TheWriteAheadLogStaysBoundedUnderOverlappingReaders) {
  const auto store = open();
  std::atomic<bool> stop = false;
  std::vector<std::thread> readers;
  for (int r = 0; r < 2; ++r)  // at any time one of them looks at the WAL
    readers.emplace_back([&, r] {
      sqlite3* database = nullptr;
      ASSERT_EQ(sqlite3_open(path().c_str(), &database), SQLITE_OK);
      std::this_thread::sleep_for(std::chrono::milliseconds(20 * r));
      while (!stop) {
        sqlite3_exec(database, "BEGIN; SELECT max(sequence) FROM events", nullptr, nullptr, nullptr);
        std::this_thread::sleep_for(std::chrono::milliseconds(40));
        sqlite3_exec(database, "COMMIT", nullptr, nullptr, nullptr);
      }
      sqlite3_close(database);
    });
  UserEvent large = event(std::string(256, 'u'), std::string(256, 'i'), std::string(256, 'k'));
  large.request = large.variant = std::string(256, 'r');
  // SQLite by itself would begin the WAL anew only when nobody reads, and keep a file of 64 MiB then. Where the machine
  // does not stall it is begun anew at 68.
  constexpr uintmax_t kFile = uintmax_t{64} << 20, kNever = uintmax_t{512} << 20;
  uintmax_t most = 0, now = 0;
  do {
    store->append(Events(2000, large));
    now = std::filesystem::file_size(path() + "-wal");
    most = std::max(most, now);
  } while (now < kNever && (now == most || now >= kFile));
  stop = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_LT(now, kFile);
  EXPECT_GT(std::filesystem::file_size(path()), most / 2) << "what it held is in the file, pages of it once";
}

}  // namespace
}  // namespace winnow
