// The event log in Redis: the server killed, stopped, full, emptied or not Redis at all; the spool; the URL.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <fstream>
#include <map>
#include <thread>

#include "serve/store/event_store.h"
#include "tests/data_files.h"
#include "tests/error_text.h"
#include "tests/redis_server.h"

namespace winnow {
namespace {

using namespace std::chrono_literals;
using Events = std::vector<UserEvent>;

UserEvent event(const std::string& user, const std::string& item) {
  UserEvent e;
  e.user = user, e.item = item, e.kind = "click";
  return e;
}

Events all_of(const EventStore& store) {
  Events all;
  store.read(0, 1'000'000, all);
  return all;
}

// Whether it comes to hold; the limit is for what hangs, not for what a busy machine delays.
template <class F>
bool comes_to_hold(F&& holds) {
  const auto end = std::chrono::steady_clock::now() + 60s;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(5ms);
  }
  return true;
}

class RedisStore : public testing::Test {
 protected:
  void SetUp() override {
    WN_SKIP_WITHOUT_REDIS();
    server_ = std::make_unique<RedisServer>();
  }
  // How long an answer is waited for: more than a busy machine takes for one, less than a test can wait.
  static constexpr auto kTimeout = 2s;
  std::string spooled() const { return server_->url(timeout() + "&spool=" + spool()); }
  static std::string timeout() { return "timeout_ms=" + std::to_string(kTimeout / 1ms); }
  std::string spool() const { return directory_.path() + "/spool.db"; }

  TemporaryDirectory directory_;
  std::unique_ptr<RedisServer> server_;
};

// Every item 0, 1, ... of every user once and in its order.
void expect_each_once(const Events& all, const std::map<std::string, int>& counts) {
  std::map<std::string, int> next;
  int64_t sequence = 0;
  for (const UserEvent& e : all) {
    EXPECT_EQ(e.sequence, ++sequence);
    EXPECT_EQ(e.item, std::to_string(next[e.user]++)) << "of " << e.user;
  }
  EXPECT_EQ(next, counts);
}

TEST_F(RedisStore, KilledUnderLoadLosesNothingAndTakesNothingTwice) {
  const auto store = EventStore::open(spooled());
  std::atomic<bool> stop = false;
  std::map<std::string, int> counts;
  std::mutex mutex;
  std::vector<std::thread> threads;
  constexpr int kThreads = 8;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&, t] {
      const std::string user = "user " + std::to_string(t);
      int n = 0;
      for (; !stop; ++n) store->append(std::vector{event(user, std::to_string(n))});
      const std::lock_guard lock(mutex);
      counts[user] = n;
    });
  for (int round = 0; round < 3; ++round) {
    std::this_thread::sleep_for(150ms);
    server_->kill();
    EXPECT_TRUE(comes_to_hold([&] { return !store->health().ok && store->health().waiting > kThreads; }))
        << "no append waits for the server to come back";
    EXPECT_NE(store->health().text.find("events wait in " + spool()), std::string::npos) << store->health().text;
    std::this_thread::sleep_for(100ms);
    server_->start();
    EXPECT_TRUE(comes_to_hold([&] { return store->health().ok; })) << store->health().text;
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(store->health().waiting, 0);
  EXPECT_EQ(store->health().text, "");
  expect_each_once(all_of(*store), counts);
}

TEST_F(RedisStore, AStoppedServerThatGoesOnTakesNoBatchTwice) {
  const auto store = EventStore::open(spooled());
  EXPECT_EQ(store->append(std::vector{event("u", "0")}), 1);
  server_->signal(SIGSTOP);
  int64_t last = 1;
  // the command lies in the server's socket: it is carried out when the server goes on, after the spool took it too
  last = store->append(std::vector{event("u", "1")});
  EXPECT_EQ(last, 0) << "the spool acknowledged it";
  constexpr int kMore = 20;
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < kMore; ++i) store->append(std::vector{event("u", std::to_string(2 + i))});
  EXPECT_LT(std::chrono::steady_clock::now() - start, kMore * kTimeout) << "each waited for a timeout of its own";
  const Events history = store->history("u", 100);
  ASSERT_EQ(history.size(), 2u + kMore);
  EXPECT_EQ(history[0].sequence, 1);
  EXPECT_EQ(history[2].item, "2");
  EXPECT_EQ(history[2].sequence, 0);
  server_->signal(SIGCONT);
  EXPECT_TRUE(comes_to_hold([&] { return store->health().ok; })) << store->health().text;
  expect_each_once(all_of(*store), {{"u", 2 + kMore}});
  EXPECT_EQ(store->history("u", 10).back().sequence, 2 + kMore);
}

TEST_F(RedisStore, WithoutASpoolAnAppendFailsAndSaysWhatIsKnown) {
  const auto store = EventStore::open(server_->url(timeout()));
  store->append(std::vector{event("u", "0")});
  server_->signal(SIGSTOP);
  const std::string unknown = text_of<IoError>([&] { store->append(std::vector{event("u", "1")}); });
  EXPECT_NE(unknown.find("it is not known whether"), std::string::npos) << unknown;
  server_->signal(SIGCONT);
  server_->kill();
  EXPECT_TRUE(comes_to_hold([&] {
    return text_of<IoError>([&] {
             store->append(std::vector{event("u", "x")});
           }).find("nothing of this append was kept") != std::string::npos;
  }));
  Events out;
  EXPECT_THROW(store->read(0, 1, out), IoError);
  EXPECT_EQ(store->history("u", 5).at(0).item, "0") << "what this process saw";
  EXPECT_FALSE(store->health().ok);
  server_->start();
  EXPECT_TRUE(comes_to_hold([&] { return store->health().ok; })) << store->health().text;
  EXPECT_GT(store->append(std::vector{event("u", "2")}), 1);
}

// Both fail at once: the answer is lost, and the disk of the spool is full.
TEST_F(RedisStore, AFullSpoolSaysWhetherRedisMayHaveTheEvents) {
  const auto store = EventStore::open(spooled());
  store->append(std::vector{event("u", "0")});
  server_->signal(SIGSTOP);
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const auto ignored = ::signal(SIGXFSZ, SIG_IGN);
  const rlimit none{.rlim_cur = 0, .rlim_max = before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &none);
  const auto append = [&] { store->append(std::vector{event("u", "1")}); };
  const std::string lost = text_of<IoError>(append), refused = text_of<IoError>(append);
  ::setrlimit(RLIMIT_FSIZE, &before);
  ::signal(SIGXFSZ, ignored);
  EXPECT_NE(lost.find("it is not known whether"), std::string::npos) << lost;
  EXPECT_NE(refused.find("nothing of this append was kept"), std::string::npos) << refused;
  EXPECT_EQ(store->append(std::vector{event("u", "2")}), 0) << "the spool takes events when its disk does";
  server_->signal(SIGCONT);
  EXPECT_TRUE(comes_to_hold([&] { return store->health().ok; })) << store->health().text;
  const Events all = all_of(*store);
  ASSERT_EQ(all.size(), 3u) << "the command lay in the server's socket";
  EXPECT_EQ(all[1].item, "1");
  EXPECT_EQ(all[2].item, "2");
}

TEST_F(RedisStore, AProcessKilledWithAFullSpoolIsContinuedByTheNext) {
  server_->kill();
  int acknowledged[2];
  ASSERT_EQ(::pipe(acknowledged), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    try {
      const auto store = EventStore::open(spooled());
      for (int i = 0;; ++i) {
        store->append(std::vector{event("u", std::to_string(i))});
        if (::write(acknowledged[1], ".", 1) != 1) ::_exit(1);
      }
    } catch (const std::exception& error) { std::fprintf(stderr, "child: %s\n", error.what()); }
    ::_exit(1);
  }
  ::close(acknowledged[1]);
  char dots[64];
  int count = 0;
  while (count < 100) {
    const ssize_t n = ::read(acknowledged[0], dots, sizeof dots);
    ASSERT_GT(n, 0);
    count += static_cast<int>(n);
  }
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  for (ssize_t n; (n = ::read(acknowledged[0], dots, sizeof dots)) > 0;) count += static_cast<int>(n);
  ::close(acknowledged[0]);

  const auto store = EventStore::open(spooled());
  const int64_t waiting = store->health().waiting;
  EXPECT_GE(waiting, count);
  EXPECT_LE(waiting, count + 1) << "the one that was under way";
  EXPECT_EQ(store->history("u", 5).size(), 5u) << "the spool's events are seen";
  store->append(std::vector{event("u", std::to_string(waiting))});
  server_->start();
  EXPECT_TRUE(comes_to_hold([&] { return store->health().ok; })) << store->health().text;
  expect_each_once(all_of(*store), {{"u", static_cast<int>(waiting) + 1}});
}

TEST_F(RedisStore, AnAppendLargerThanWhatIsForwardedAtOnceComesWhole) {
  const auto store = EventStore::open(server_->url("spool=" + spool()));
  server_->kill();
  Events large;
  for (int i = 0; i < 10'000; ++i) large.push_back(event("u", std::to_string(i)));
  EXPECT_EQ(store->append(large), 0);
  store->append(std::vector{event("u", "10000")});
  server_->start();
  EXPECT_TRUE(comes_to_hold([&] { return store->health().ok; })) << store->health().text;
  expect_each_once(all_of(*store), {{"u", 10'001}});
  EXPECT_EQ(store->append(std::vector(10'000, event("v", "0"))), 20'001);
}

TEST_F(RedisStore, ASpoolBelongsToOneProcess) {
  const auto store = EventStore::open(spooled());
  store->append(std::vector{event("u", "0")});
  EXPECT_NE(text_of<IoError>([&] { EventStore::open(spooled()); }).find("another process"), std::string::npos);
}

TEST_F(RedisStore, AServerThatTakesNoWritesIsAwayToo) {
  const auto store = EventStore::open(spooled());
  store->append(std::vector{event("u", "0")});
  server_->command({"CONFIG", "SET", "maxmemory", "1"});
  EXPECT_EQ(store->append(std::vector{event("u", "1")}), 0);
  EXPECT_NE(store->health().text.find("OOM"), std::string::npos) << store->health().text;
  server_->command({"CONFIG", "SET", "maxmemory", "0"});
  EXPECT_TRUE(comes_to_hold([&] { return store->health().ok; })) << store->health().text;
  EXPECT_EQ(store->append(std::vector{event("u", "2")}), 3);
  expect_each_once(all_of(*store), {{"u", 3}});
  server_->command({"SCRIPT", "FLUSH"});
  EXPECT_EQ(store->append(std::vector{event("u", "3")}), 4) << "the script is given again";
}

TEST_F(RedisStore, ALogThatLostEventsIsNoticed) {
  const auto store = EventStore::open(server_->url());
  store->append(Events(5, event("u", "0")));
  server_->command({"FLUSHALL"});
  Events out;
  EXPECT_NE(text_of<IoError>([&] { store->read(5, 10, out); }).find("the log ends at 0"), std::string::npos);
  EXPECT_EQ(store->append(std::vector{event("u", "1")}), 1);
  EXPECT_FALSE(store->health().ok);
  EXPECT_NE(store->health().text.find("its log lost events: 5 were acknowledged, then it ended at 0"),
            std::string::npos)
      << store->health().text;
}

TEST_F(RedisStore, OtherDataUnderItsKeysIsRefused) {
  server_->command({"XADD", "winnow:events", "1-0", "event", "{\"user\":1}"});
  const auto store = EventStore::open(server_->url());
  Events out;
  EXPECT_NE(text_of<IoError>([&] { store->read(0, 10, out); }).find("no event of ours"), std::string::npos);
  EXPECT_TRUE(store->health().ok) << "the server itself answers";
  server_->command({"SET", "winnow:history:u", "text"});
  EXPECT_NE(text_of<IoError>([&] { store->history("u", 10); }).find("WRONGTYPE"), std::string::npos);
}

TEST_F(RedisStore, HistoriesAreBoundedInTheServer) {
  const auto store = EventStore::open(server_->url("history=10"));
  for (int i = 0; i < 40; ++i) store->append(std::vector{event("u", std::to_string(i))});
  const Events history = store->history("u", 100);
  ASSERT_EQ(history.size(), 10u);
  EXPECT_EQ(history.front().item, "30");
  const auto kept = server_->command({"LLEN", "winnow:history:u"});
  EXPECT_EQ(kept->integer, 10);
}

TEST_F(RedisStore, SaysWhatTheServersSettingsDoNotHold) {
  server_->command({"CONFIG", "SET", "appendfsync", "everysec"});
  const StoreHealth second = EventStore::open(server_->url())->health();
  EXPECT_TRUE(second.ok);
  EXPECT_NE(second.text.find("appendfsync is everysec"), std::string::npos) << second.text;
  server_->command({"CONFIG", "SET", "appendonly", "no"});
  EXPECT_NE(EventStore::open(server_->url())->health().text.find("appendonly is no"), std::string::npos);
}

TEST_F(RedisStore, ThePasswordComesFromAFileAndIsNeverShown) {
  server_->command({"CONFIG", "SET", "requirepass", "hunter2"});
  EXPECT_NE(text_of<IoError>([&] { EventStore::open(server_->url()); }).find("NOAUTH"), std::string::npos);
  directory_.write("password", "wrong\n");
  const std::string options = "password_file=" + directory_.path() + "/password";
  const std::string wrong = text_of<IoError>([&] { EventStore::open(server_->url(options)); });
  EXPECT_NE(wrong.find("WRONGPASS"), std::string::npos) << wrong;
  EXPECT_EQ(wrong.find("wrong\n"), std::string::npos);
  directory_.write("password", "hunter2\n");
  EXPECT_EQ(EventStore::open(server_->url(options))->append(std::vector{event("u", "0")}), 1);
}

// A listener that answers each connection with `text`, a byte at a time, and never closes it before the client does.
class Impostor {
 public:
  explicit Impostor(std::string text) : text_(std::move(text)), listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(listener_, 4) != 0 ||
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0)
      throw std::runtime_error("no listener");
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~Impostor() {
    stop_ = true;
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }
  Impostor(const Impostor&) = delete;
  Impostor& operator=(const Impostor&) = delete;
  std::string url() const { return "redis://127.0.0.1:" + std::to_string(port_) + "?timeout_ms=200"; }
  size_t sent() const { return sent_; }

 private:
  void serve() {
    while (!stop_) {
      const int connection = ::accept(listener_, nullptr, nullptr);
      if (connection < 0) return;
      for (size_t i = 0; i < text_.size() && !stop_; ++i) {
        if (::send(connection, text_.data() + i, 1, MSG_NOSIGNAL) != 1) break;
        ++sent_;
        if (text_.size() > 1000) std::this_thread::sleep_for(1ms);
      }
      for (char byte; !stop_ && ::recv(connection, &byte, 1, 0) > 0;) {}
      ::close(connection);
    }
  }
  const std::string text_;
  int listener_, port_ = 0;
  std::atomic<bool> stop_ = false;
  std::atomic<size_t> sent_ = 0;
  std::thread thread_;
};

TEST(RedisConnection, AServerThatIsNotRedisOrDripsIsLeftWithinTheTimeout) {
  for (const auto& [text, expected] :
       std::map<std::string, std::string>{{"HTTP/1.1 400 Bad Request\r\n", "not Redis's protocol"},
                                          {"*99999999999999999999\r\n", "not Redis's protocol"},
                                          {"$-77777\r\n", "not Redis's protocol"},
                                          {"", "no answer within 200 ms"},
                                          {"$100000\r\n" + std::string(20'000, 'x'), "no answer within 200 ms"}}) {
    const Impostor impostor(text);
    const std::string found = text_of<IoError>([&] { EventStore::open(impostor.url()); });
    EXPECT_NE(found.find(expected), std::string::npos) << found;
    if (text.size() > 1000) { EXPECT_LT(impostor.sent(), text.size()) << "each byte had a timeout of its own"; }
  }
}

TEST(RedisConnection, NothingThereIsSaidAtOnce) {
  const HeldPort nobody;
  const std::string url = "redis://127.0.0.1:" + std::to_string(nobody.number());
  EXPECT_NE(text_of<IoError>([&] { EventStore::open(url); }).find("Connection refused"), std::string::npos);
  EXPECT_NE(text_of<IoError>([] { EventStore::open("redis://no.such.host.invalid"); }).find("cannot be looked up"),
            std::string::npos);
}

TEST(RedisUrl, IsReadStrictly) {
  using detail::RedisUrl;
  const RedisUrl plain = RedisUrl::parse("redis://host");
  EXPECT_EQ(plain.host, "host");
  EXPECT_EQ(plain.port, 6379);
  EXPECT_EQ(plain.db, 0);
  const RedisUrl all = RedisUrl::parse("redis://[::1]:7000/3?spool=/a%26b/c&timeout_ms=20&history=7&prefix=shop:1");
  EXPECT_EQ(all.name(), "redis [::1]:7000");
  EXPECT_EQ(all.db, 3);
  EXPECT_EQ(all.spool, "/a&b/c");
  EXPECT_EQ(all.timeout, 20ms);
  EXPECT_EQ(all.history, 7);
  EXPECT_EQ(all.prefix, "shop:1");
  for (const auto& [url, expected] :
       std::map<std::string, std::string>{{"redis://", "a host is needed"},
                                          {"redis://:6379", "a host is needed"},
                                          {"redis://host:0", "port: '0' is not a whole number in [1, 65535]"},
                                          {"redis://host:99999", "port"},
                                          {"redis://host:1x", "port"},
                                          {"redis://host:", "port"},
                                          {"redis://[::1", "must end with ]"},
                                          {"redis://[::1]7000", "expected :PORT behind ]"},
                                          {"redis://host/x", "database: 'x'"},
                                          {"redis://host?timeout=5", "unknown option 'timeout'; did you mean"},
                                          {"redis://host?spool", "expected OPTION=VALUE"},
                                          {"redis://host?spool=", "spool: a path is needed"},
                                          {"redis://host?spool=%zz", "two hexadecimal digits"},
                                          {"redis://host?spool=%4", "two hexadecimal digits"},
                                          {"redis://host?spool=a%00b", "two hexadecimal digits"},
                                          {"redis://host?timeout_ms=0", "timeout_ms"},
                                          {"redis://host?history=10001", "history"},
                                          {"redis://host?prefix=a b", "prefix"},
                                          {"redis://user@host", "a user needs its password"},
                                          {"redis://user:hunter2@host", "no password in the URL"}}) {
    const std::string text = text_of<ConfigError>([&] { RedisUrl::parse(url); });
    EXPECT_NE(text.find(expected), std::string::npos) << url << ": " << text;
    EXPECT_EQ(text.find("hunter2"), std::string::npos);
  }
}

}  // namespace
}  // namespace winnow
