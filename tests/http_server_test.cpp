// serve/http/server.h: what is answered, in which order, within which limits.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <atomic>
#include <cstring>
#include <fstream>
#include <future>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "core/error.h"
#include "serve/http/server.h"
#include "tests/error_text.h"
#include "tests/http_client.h"

namespace winnow {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

HttpOptions quick() {
  HttpOptions o;
  o.port = 0;
  o.threads = 2;
  return o;
}

HttpReply text(std::string body) {
  return {.status = 200, .type = "text/plain", .body = std::move(body), .fields = {}};
}

// A server with the routes that the tests ask.
struct Served {
  explicit Served(const HttpOptions& options = quick()) : server(options) {
    server.route("GET", "/hello", [](HttpExchange x) { x.reply(text("hello")); });
    server.route(
        "GET", "/open", [](HttpExchange x) { x.reply(text("open " + x.request().client)); }, true);
    server.route("POST", "/echo", [](HttpExchange x) { x.reply(text(x.request().body)); });
    server.route("GET", "/items/{id}/similar", [](HttpExchange x) {
      const HttpRequest& r = x.request();
      x.reply(text(std::string(r.path_parameter("id")) + "|" + std::string(r.parameter("k")) + "|" +
                   std::string(r.field("x-a")) + "|" + r.client));
    });
    server.route("GET", "/items/all/similar", [](HttpExchange x) { x.reply(text("all")); });
    server.route("GET", "/drop", [](HttpExchange) {});
    server.route("GET", "/throw", [](HttpExchange) { throw DataError("/etc/secret is not readable"); });
    server.route("GET", "/keep", [this](HttpExchange x) {
      const std::lock_guard lock(mutex);
      kept.push_back(std::move(x));
    });
    server.route("GET", "/later", [this](HttpExchange x) {
      workers.push_back(std::async(std::launch::async, [x]() mutable {
        std::this_thread::sleep_for(20ms);
        x.reply(text("later"));
      }));
    });
    server.route("GET", "/long", [](HttpExchange x) { x.reply(text(std::string(32 << 20, 'x'))); });
    server.start();
  }
  HttpClient client() const { return HttpClient(server.port()); }
  // The exchange that /keep holds, once it is there.
  HttpExchange kept_exchange() {
    for (int i = 0; i < 1000; ++i) {
      {
        const std::lock_guard lock(mutex);
        if (!kept.empty()) {
          HttpExchange x = std::move(kept.back());
          kept.pop_back();
          return x;
        }
      }
      std::this_thread::sleep_for(2ms);
    }
    throw DataError("no exchange came");
  }
  std::mutex mutex;
  std::vector<HttpExchange> kept;
  std::vector<std::future<void>> workers;  // by one I/O thread at a time: /later is asked by one client
  HttpServer server;
};

// {"error": {"status", "message"}}, and nothing of this machine in it.
void expect_error(const ClientReply& reply, int status) {
  EXPECT_EQ(reply.status, status);
  if (reply.status == 0) return;
  const auto json = nlohmann::json::parse(reply.body, nullptr, false);
  ASSERT_TRUE(json.is_object()) << reply.body;
  EXPECT_EQ(json["error"]["status"], status);
  EXPECT_TRUE(json["error"]["message"].is_string());
  EXPECT_EQ(reply.field("Content-Type"), "application/json");
  EXPECT_EQ(reply.body.find("secret"), std::string::npos) << reply.body;
}

TEST(HttpServer, AnswersOnOneConnectionInOrder) {
  Served s;
  HttpClient c = s.client();
  const ClientReply first = c.ask(get_request("/hello"));
  EXPECT_EQ(first.status, 200);
  EXPECT_EQ(first.body, "hello");
  EXPECT_EQ(first.field("Server"), "winnow");
  EXPECT_EQ(first.field("Content-Type"), "text/plain");
  EXPECT_EQ(first.field("Connection"), "keep-alive");
  EXPECT_EQ(first.field("Date").size(), 29u);
  EXPECT_EQ(c.ask(post_request("/echo", "body")).body, "body");
  EXPECT_EQ(c.ask(get_request("/items/a%20b/similar?k=5&k=6", "X-A: v\r\n")).body, "a b|5|v|127.0.0.1");
  EXPECT_EQ(c.ask(get_request("/items/all/similar")).body, "all");
  EXPECT_EQ(s.server.counts().connections, 1);
  EXPECT_EQ(s.server.counts().requests, 4);
}

TEST(HttpServer, PipelinedRequestsAreAnsweredInOrder) {
  Served s;
  HttpClient c = s.client();
  std::string all;
  for (int i = 0; i < 50; ++i) all += i % 10 == 5 ? get_request("/later") : post_request("/echo", std::to_string(i));
  ASSERT_TRUE(c.send(all));
  for (int i = 0; i < 50; ++i) EXPECT_EQ(c.receive().body, i % 10 == 5 ? "later" : std::to_string(i));
}

TEST(HttpServer, HeadAndOptionsNeedNoHandlers) {
  Served s;
  HttpClient c = s.client();
  ASSERT_TRUE(c.send("HEAD /hello HTTP/1.1\r\nHost: a\r\n\r\n"));
  const ClientReply head = c.receive(true);
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.field("Content-Length"), "5");
  ASSERT_TRUE(c.send("HEAD /nothing HTTP/1.1\r\nHost: a\r\n\r\n"));
  EXPECT_EQ(c.receive(true).status, 404);
  const ClientReply options = c.ask("OPTIONS /hello HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(options.status, 204);
  EXPECT_EQ(options.field("Allow"), "GET, HEAD, OPTIONS");
  EXPECT_EQ(options.field("Content-Length"), "");
  EXPECT_EQ(c.ask("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").status, 204);
  EXPECT_EQ(c.ask(get_request("/hello")).body, "hello");
}

TEST(HttpServer, UnknownPathsAndMethodsAreToldAndTheConnectionGoesOn) {
  Served s;
  HttpClient c = s.client();
  expect_error(c.ask(get_request("/nothing")), 404);
  expect_error(c.ask(get_request("/hello/")), 404);
  expect_error(c.ask(get_request("/items//similar")), 400);
  HttpClient d = s.client();
  expect_error(d.ask(post_request("/nothing", std::string(100000, 'x'))), 404);
  const ClientReply wrong = d.ask(post_request("/hello", "x"));
  expect_error(wrong, 405);
  EXPECT_EQ(wrong.field("Allow"), "GET, HEAD, OPTIONS");
  expect_error(d.ask("BREW / HTTP/1.1\r\nHost: a\r\n\r\n"), 501);
  EXPECT_EQ(d.ask(get_request("/hello")).status, 200);
}

TEST(HttpServer, MalformedRequestsAreToldAndTheConnectionEnds) {
  Served s;
  for (const char* bytes :
       {"GET / HTTP/1.1\nHost: a\n\n", "GET / HTTP/1.1\r\n\r\n", "GET /%2e%2e/x HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "\x16\x03\x01\x02"}) {
    HttpClient c = s.client();
    const ClientReply reply = c.ask(bytes);
    expect_error(reply, 400);
    EXPECT_EQ(reply.field("Connection"), "close");
    EXPECT_TRUE(c.is_closed());
  }
  EXPECT_EQ(s.server.counts().bad_requests, 5);
}

TEST(HttpServer, HeadsAndBodiesHaveALargestSize) {
  HttpOptions o = quick();
  o.max_head = 1000;
  o.max_target = 200;
  o.max_body = 1000;
  o.max_fields = 5;
  Served s(o);
  expect_error(s.client().ask(get_request("/" + std::string(300, 'a'))), 414);
  expect_error(s.client().ask(get_request("/hello", "X: " + std::string(2000, 'a') + "\r\n")), 431);
  expect_error(s.client().ask(get_request("/hello", "A: a\r\nB: b\r\nC: c\r\nD: d\r\nE: e\r\n")), 431);
  EXPECT_EQ(s.client().ask(post_request("/echo", std::string(1000, 'a'))).body.size(), 1000u);
  // The whole body is under way when the server refuses: the reply must not be lost in a reset.
  expect_error(s.client().ask(post_request("/echo", std::string(400'000, 'a'))), 413);
  const std::string chunk = "200\r\n" + std::string(512, 'a') + "\r\n";
  expect_error(s.client().ask("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk + chunk),
               413);
}

TEST(HttpServer, ChunkedBodiesAreRead) {
  Served s;
  HttpClient c = s.client();
  const std::string head = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  EXPECT_EQ(c.ask(head + "5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n").body, "hello world");
  ASSERT_TRUE(c.send(head));
  for (const char byte : std::string("3\r\nabc\r\n0\r\n\r\n")) ASSERT_TRUE(c.send(std::string(1, byte)));
  EXPECT_EQ(c.receive().body, "abc");
  expect_error(c.ask(head + "zz\r\n"), 400);
}

TEST(HttpServer, ContinueIsSentToThoseThatWillBeServed) {
  Served s;
  HttpClient c = s.client();
  const std::string expecting = "Host: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n";
  ASSERT_TRUE(c.send("POST /echo HTTP/1.1\r\n" + expecting));
  EXPECT_EQ(c.receive().status, 100);
  EXPECT_EQ(c.ask("body").body, "body");
  ASSERT_TRUE(c.send("POST /echo HTTP/1.1\r\n" + expecting + "body"));  // did not wait: none is needed
  EXPECT_EQ(c.receive().body, "body");
  const ClientReply refused = c.ask("POST /nothing HTTP/1.1\r\n" + expecting);
  expect_error(refused, 404);
  EXPECT_EQ(refused.field("Connection"), "close");
  expect_error(s.client().ask(get_request("/hello", "Expect: magic\r\n")), 417);
}

TEST(HttpServer, OldClientsAreServed) {
  Served s;
  HttpClient c = s.client();
  const ClientReply reply = c.ask("GET /hello HTTP/1.0\r\n\r\n");
  EXPECT_EQ(reply.body, "hello");
  EXPECT_EQ(reply.field("Connection"), "close");
  EXPECT_TRUE(c.is_closed());
}

TEST(HttpServer, AClientThatSendsNoMoreStillReads) {
  Served s;
  HttpClient c = s.client();
  ASSERT_TRUE(c.send(get_request("/later")));
  c.end_sending();
  EXPECT_EQ(c.receive().body, "later");
  EXPECT_TRUE(c.is_closed());
  HttpClient ahead = s.client();
  ASSERT_TRUE(ahead.send(post_request("/echo", "a") + post_request("/echo", "b") + get_request("/later")));
  ahead.end_sending();
  for (const char* body : {"a", "b", "later"}) EXPECT_EQ(ahead.receive().body, body);
  EXPECT_TRUE(ahead.is_closed());
}

TEST(HttpServer, DroppedExchangesAndThrowingHandlersAre500) {
  Served s;
  HttpClient c = s.client();
  expect_error(c.ask(get_request("/drop")), 500);
  expect_error(c.ask(get_request("/throw")), 500);
  ASSERT_TRUE(c.send(get_request("/keep")));
  {
    const HttpExchange dropped = s.kept_exchange();  // on another thread than the server's
  }
  expect_error(c.receive(), 500);
  EXPECT_EQ(s.server.counts().failed, 3);
  EXPECT_EQ(c.ask(get_request("/hello")).body, "hello");
}

TEST(HttpServer, RepliesThatHttpCannotSendAre500) {
  HttpServer server(quick());
  server.route("GET", "/split", [](HttpExchange x) {
    x.reply({.status = 200, .type = "text/plain", .body = "", .fields = {{"X-A", "b\r\nSet-Cookie: c"}}});
  });
  server.route("GET", "/status", [](HttpExchange x) { x.reply({.status = 99, .type = "", .body = "", .fields = {}}); });
  server.start();
  HttpClient c(server.port());
  expect_error(c.ask(get_request("/split")), 500);
  expect_error(c.ask(get_request("/status")), 500);
}

TEST(HttpServer, TheFirstReplyCountsAndLaterOnesAreLetGo) {
  Served s;
  HttpClient c = s.client();
  ASSERT_TRUE(c.send(get_request("/keep")));
  HttpExchange x = s.kept_exchange();
  EXPECT_TRUE(x.is_open());
  x.reply(text("first"));
  x.reply(text("second"));
  EXPECT_FALSE(x.is_open());
  EXPECT_EQ(c.receive().body, "first");
  EXPECT_EQ(x.request().path, "/keep");
  EXPECT_EQ(c.ask(get_request("/hello")).body, "hello");
}

TEST(HttpServer, RepliesComeFromManyThreads) {
  Served s;
  std::vector<std::thread> clients;
  std::atomic<int> good{0};
  std::atomic<bool> ended{false};
  std::thread replier([&] {
    while (!ended) {
      std::vector<HttpExchange> taken;
      {
        const std::lock_guard lock(s.mutex);
        taken.swap(s.kept);
      }
      for (HttpExchange& x : taken) x.reply(text(x.request().query));
      std::this_thread::yield();
    }
  });
  for (int t = 0; t < 4; ++t) {
    clients.emplace_back([&, t] {
      HttpClient c = s.client();
      for (int i = 0; i < 200; ++i) {
        const std::string query = std::to_string(1000 * t + i);
        if (c.ask(get_request("/keep?" + query)).body == query) ++good;
      }
    });
  }
  for (std::thread& t : clients) t.join();
  ended = true;
  replier.join();
  EXPECT_EQ(good, 800);
}

TEST(HttpServer, TheExchangeTellsWhenTheClientHasGone) {
  Served s;
  HttpClient c = s.client();
  ASSERT_TRUE(c.send(get_request("/keep")));
  HttpExchange x = s.kept_exchange();
  EXPECT_TRUE(x.is_open());
  c.close_now();
  for (int i = 0; i < 1000 && x.is_open(); ++i) std::this_thread::sleep_for(2ms);
  EXPECT_FALSE(x.is_open());
  x.reply(text("to nobody"));
}

TEST(HttpServer, AnExchangeMayOutliveTheServer) {
  auto s = std::make_unique<Served>();
  HttpClient c = s->client();
  ASSERT_TRUE(c.send(get_request("/keep")));
  HttpExchange x = s->kept_exchange();
  s.reset();
  EXPECT_FALSE(x.is_open());
  x.reply(text("late"));
  EXPECT_EQ(x.request().path, "/keep");
  EXPECT_TRUE(c.is_closed());
}

TEST(HttpServer, HandlersThatTakeTooLongAre504AndTheConnectionGoesOn) {
  HttpOptions o = quick();
  o.handler_time = 50ms;
  Served s(o);
  HttpClient c = s.client();
  const auto start = Clock::now();
  expect_error(c.ask(get_request("/keep")), 504);
  EXPECT_LT(seconds_since(start), 1.0);
  HttpExchange late = s.kept_exchange();
  EXPECT_FALSE(late.is_open());
  late.reply(text("late"));
  EXPECT_EQ(c.ask(get_request("/hello")).body, "hello");
  EXPECT_EQ(s.server.counts().timeouts, 1);
}

TEST(HttpServer, SlowHeadsAre408HoweverSteadilyTheyCome) {
  HttpOptions o = quick();
  o.head_time = 100ms;
  Served s(o);
  HttpClient c = s.client();
  const auto start = Clock::now();
  ClientReply reply;
  for (int i = 0; reply.status == 0 && i < 400; ++i) {
    c.send(i == 0 ? "GET /hello HTTP/1.1\r\nHost: a\r\nX: " : "a");
    reply = c.receive(false, 5);
  }
  expect_error(reply, 408);
  EXPECT_LT(seconds_since(start), 1.0);
  EXPECT_TRUE(c.is_closed());
  EXPECT_TRUE(s.client().is_closed());  // one that says nothing
}

TEST(HttpServer, SlowBodiesAre408AndFastEnoughOnesAreNot) {
  HttpOptions o = quick();
  o.body_grace = 100ms;
  o.body_bytes_per_second = 2000;
  Served s(o);
  HttpClient slow = s.client();
  const auto start = Clock::now();
  ASSERT_TRUE(slow.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10000\r\n\r\nabc"));
  expect_error(slow.receive(), 408);
  EXPECT_LT(seconds_since(start), 1.0);
  HttpClient steady = s.client();
  ASSERT_TRUE(steady.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10000\r\n\r\n" + std::string(4000, 'a')));
  for (int i = 0; i < 3; ++i) {
    std::this_thread::sleep_for(200ms);
    ASSERT_TRUE(steady.send(std::string(2000, 'a')));
  }
  EXPECT_EQ(steady.receive().body.size(), 10000u);
}

TEST(HttpServer, IdleConnectionsAreClosed) {
  HttpOptions o = quick();
  o.idle_time = 50ms;
  Served s(o);
  HttpClient c = s.client();
  EXPECT_EQ(c.ask(get_request("/hello")).status, 200);
  const auto start = Clock::now();
  EXPECT_TRUE(c.is_closed());
  EXPECT_LT(seconds_since(start), 1.0);
  EXPECT_EQ(s.server.counts().open_connections, 0);
}

TEST(HttpServer, RepliesThatNobodyReadsAreGivenUp) {
  HttpOptions o = quick();
  o.write_time = 100ms;
  Served s(o);
  HttpClient c(s.server.port(), 4096);
  ASSERT_TRUE(c.send(get_request("/long")));
  for (int i = 0; i < 500 && s.server.counts().timeouts == 0; ++i) std::this_thread::sleep_for(2ms);
  EXPECT_EQ(s.server.counts().timeouts, 1);
  EXPECT_EQ(s.server.counts().open_connections, 0);
}

TEST(HttpServer, LongRepliesArriveWhole) {
  Served s;
  HttpClient c = s.client();
  EXPECT_EQ(c.ask(get_request("/long")).body.size(), size_t{32} << 20);
  EXPECT_EQ(c.ask(get_request("/hello")).body, "hello");
}

TEST(HttpServer, ConnectionsOverALimitAreToldAndComeInAgainLater) {
  HttpOptions o = quick();
  o.max_connections_per_peer = 3;
  Served s(o);
  std::vector<HttpClient> good;
  for (int i = 0; i < 3; ++i) {
    good.push_back(s.client());
    EXPECT_EQ(good.back().ask(get_request("/hello")).status, 200);
  }
  HttpClient refused = s.client();
  const ClientReply reply = refused.ask(get_request("/hello"));
  expect_error(reply, 503);
  EXPECT_EQ(reply.field("Retry-After"), "1");
  EXPECT_TRUE(refused.is_closed());
  EXPECT_EQ(good[0].ask(get_request("/hello")).status, 200);
  good.pop_back();
  int status = 0;
  for (int i = 0; i < 100 && status != 200; ++i) status = s.client().ask(get_request("/hello")).status;
  EXPECT_EQ(status, 200);
  o.max_connections = 2;
  o.max_connections_per_peer = 64;
  Served t(o);
  const HttpClient a = t.client(), b = t.client();
  expect_error(t.client().ask(get_request("/hello")), 503);
}

TEST(HttpServer, MoreThanHandlersMayHoldIsRefusedAtOnceAndHealthIsNot) {
  HttpOptions o = quick();
  o.max_in_flight = 2;
  o.handler_time = 50ms;
  Served s(o);
  HttpClient a = s.client(), b = s.client(), c = s.client();
  expect_error(a.ask(get_request("/keep")), 504);
  expect_error(b.ask(get_request("/keep")), 504);  // both are still held
  const ClientReply refused = c.ask(post_request("/echo", "body"));
  expect_error(refused, 503);
  EXPECT_EQ(refused.field("Retry-After"), "1");
  EXPECT_EQ(c.ask(get_request("/open")).status, 200);
  EXPECT_EQ(s.server.counts().refused, 1);
  { const HttpExchange done = s.kept_exchange(); }
  EXPECT_EQ(c.ask(post_request("/echo", "body")).body, "body");
}

TEST(HttpServer, KeysAreAskedFor) {
  HttpOptions o = quick();
  o.api_keys = {"first-key-0123456789", "second-key-012345678"};
  Served s(o);
  HttpClient c = s.client();
  const ClientReply without = c.ask(get_request("/hello"));
  expect_error(without, 401);
  EXPECT_EQ(without.field("WWW-Authenticate"), "Bearer");
  expect_error(c.ask(get_request("/hello", "X-Api-Key: first-key-012345678\r\n")), 401);
  expect_error(c.ask(get_request("/hello", "Authorization: Basic Zmlyc3Q=\r\n")), 401);
  expect_error(c.ask(get_request("/nothing")), 401);
  expect_error(c.ask(post_request("/echo", "body")), 401);
  EXPECT_EQ(c.ask(get_request("/open")).body, "open 127.0.0.1");
  EXPECT_EQ(c.ask(get_request("/open", "X-Api-Key: second-key-012345678\r\n")).body, "open key 2");
  EXPECT_EQ(c.ask(get_request("/hello", "X-Api-Key: first-key-0123456789\r\n")).status, 200);
  EXPECT_EQ(c.ask(get_request("/hello", "Authorization: bearer second-key-012345678\r\n")).status, 200);
}

TEST(HttpServer, HandlersNeverSeeTheKey) {
  HttpOptions o = quick();
  o.api_keys = {"first-key-0123456789"};
  Served s(o);
  HttpClient c = s.client();
  ASSERT_TRUE(c.send(get_request("/keep", "Authorization: Bearer first-key-0123456789\r\nX-A: b\r\n")));
  HttpExchange x = s.kept_exchange();
  ASSERT_EQ(x.request().fields.size(), 2u);  // Host and X-A
  EXPECT_EQ(x.request().client, "key 1");
}

TEST(HttpServer, TooManyRequestsOfAClientAre429) {
  HttpOptions o = quick();
  o.api_keys = {"first-key-0123456789", "second-key-012345678"};
  o.requests_per_second = 0.5;
  o.burst = 3;
  Served s(o);
  HttpClient c = s.client();
  const std::string first = "X-Api-Key: first-key-0123456789\r\n", second = "X-Api-Key: second-key-012345678\r\n";
  for (int i = 0; i < 3; ++i) EXPECT_EQ(c.ask(get_request("/hello", first)).status, 200);
  const ClientReply refused = c.ask(get_request("/hello", first));
  expect_error(refused, 429);
  EXPECT_EQ(refused.field("Retry-After"), "2");
  EXPECT_EQ(c.ask(get_request("/hello", second)).status, 200);
  for (int i = 0; i < 3; ++i) expect_error(c.ask(get_request("/hello", "X-Api-Key: guess-key-0123456789\r\n")), 401);
  expect_error(c.ask(get_request("/hello", "X-Api-Key: guess-key-0123456780\r\n")), 429);  // guesses are rare
  EXPECT_EQ(c.ask(get_request("/hello", second)).status, 200);
}

TEST(HttpServer, StopAnswersWhatIsUnderWay) {
  Served s;
  HttpClient busy = s.client(), idle = s.client();
  EXPECT_EQ(idle.ask(get_request("/hello")).status, 200);
  ASSERT_TRUE(busy.send(get_request("/keep") + get_request("/hello")));
  HttpExchange x = s.kept_exchange();
  auto stopped = std::async(std::launch::async, [&] { s.server.stop(5s); });
  EXPECT_TRUE(idle.is_closed());
  EXPECT_TRUE(x.is_open());
  x.reply(text("answered"));
  const ClientReply reply = busy.receive();
  EXPECT_EQ(reply.body, "answered");
  EXPECT_EQ(reply.field("Connection"), "close");
  EXPECT_TRUE(busy.is_closed());  // what was sent ahead is not served
  stopped.wait();
  EXPECT_FALSE(s.client().is_connected());
  EXPECT_EQ(s.server.counts().open_connections, 0);
  s.server.stop();
}

TEST(HttpServer, StopWaitsNoLongerThanItsGrace) {
  Served s;
  HttpClient c = s.client();
  ASSERT_TRUE(c.send(get_request("/keep")));
  HttpExchange x = s.kept_exchange();
  const auto start = Clock::now();
  s.server.stop(100ms);
  EXPECT_LT(seconds_since(start), 1.5);
  EXPECT_FALSE(x.is_open());
  EXPECT_TRUE(c.is_closed());
}

TEST(HttpServer, WithoutFileDescriptorsItServesOnAndRecovers) {
  Served s;
  HttpClient c = s.client();
  EXPECT_EQ(c.ask(get_request("/hello")).status, 200);
  HttpClient late;
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  rlimit none = before;
  none.rlim_cur = 3;
  setrlimit(RLIMIT_NOFILE, &none);
  rusage cpu_before{}, cpu_after{};
  getrusage(RUSAGE_SELF, &cpu_before);
  late.connect_to(s.server.port());
  ASSERT_TRUE(late.send(get_request("/hello")));
  EXPECT_EQ(c.ask(get_request("/hello")).status, 200);
  EXPECT_EQ(late.receive(false, 300).status, 0);  // not accepted
  EXPECT_EQ(c.ask(get_request("/hello")).status, 200);
  getrusage(RUSAGE_SELF, &cpu_after);
  setrlimit(RLIMIT_NOFILE, &before);
  const auto used = [](const rusage& u) {
    return static_cast<double>(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           1e-6 * static_cast<double>(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
  };
  EXPECT_LT(used(cpu_after) - used(cpu_before), 0.15);
  EXPECT_EQ(late.receive().status, 200);
  EXPECT_EQ(s.client().ask(get_request("/hello")).status, 200);
}

TEST(HttpServer, OnlyThisMachineIsServedUnlessKeysAreGivenOrSaidOtherwise) {
  HttpOptions o = quick();
  o.host = "0.0.0.0";
  const std::string error = text_of<ConfigError>([&] { HttpServer server(o); });
  EXPECT_NE(error.find("0.0.0.0 can be reached by other machines"), std::string::npos) << error;
  o.host = "::";
  EXPECT_THROW(HttpServer{o}, ConfigError);
  o.host = "0.0.0.0";
  o.open = true;
  HttpServer by_choice(o);
  o.open = false;
  o.api_keys = {"first-key-0123456789"};
  HttpServer with_keys(o);
  o.host = "localhost";
  o.api_keys.clear();
  HttpServer local(o);
}

TEST(HttpServer, WrongOptionsAndRoutesAreNamed) {
  const auto error = [](auto change) {
    HttpOptions o = quick();
    change(o);
    return text_of<ConfigError>([&] { HttpServer server(o); });
  };
  const std::string key = error([](HttpOptions& o) { o.api_keys = {"first-key-0123456789", "short-secret"}; });
  EXPECT_NE(key.find("API key 2 is not 16 to 256"), std::string::npos) << key;
  EXPECT_EQ(key.find("short-secret"), std::string::npos);
  EXPECT_NE(error([](HttpOptions& o) { o.certificate = "c.pem"; }).find("certificate is given without"),
            std::string::npos);
  EXPECT_NE(error([](HttpOptions& o) { o.threads = 0; }).find("0 threads"), std::string::npos);
  EXPECT_NE(error([](HttpOptions& o) { o.host = "no such host"; }).find("no such host"), std::string::npos);
  EXPECT_NE(error([](HttpOptions& o) { o.idle_time = 0ms; }).find("millisecond"), std::string::npos);
  HttpServer server(quick());
  const HttpHandler handler = [](HttpExchange) {};
  server.route("GET", "/a/{id}", handler);
  EXPECT_THROW(server.route("GET", "/a/{id}", handler), ConfigError);
  EXPECT_THROW(server.route("GET", "a", handler), ConfigError);
  EXPECT_THROW(server.route("GET", "/a//b", handler), ConfigError);
  EXPECT_THROW(server.route("GET", "/a/{id", handler), ConfigError);
  EXPECT_THROW(server.route("GET", "/{id}/{id}", handler), ConfigError);
  EXPECT_THROW(server.route("HEAD", "/b", handler), ConfigError);
  EXPECT_THROW(server.route("GET", "/b", nullptr), ConfigError);
  HttpOptions taken = quick();
  taken.port = server.port();
  server.start();
  EXPECT_NE(text_of<IoError>([&] { HttpServer second(taken); }).find("cannot be listened at"), std::string::npos);
  EXPECT_THROW(server.route("GET", "/c", handler), ConfigError);
}

}  // namespace
}  // namespace winnow
