// serve/http/server.h: sizes, times, connections, keys, rates, and the end.
#include <gtest/gtest.h>

#include <future>
#include <set>
#include <thread>

#include "tests/http_served.h"

namespace winnow {
namespace {

TEST(HttpLimits, HeadsAndBodiesHaveALargestSize) {
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

TEST(HttpLimits, HandlersThatTakeTooLongAre504AndTheConnectionGoesOn) {
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

TEST(HttpLimits, SlowHeadsAre408HoweverSteadilyTheyCome) {
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

// One client is answered between the ends of 300 others, which all are due in one look at the deadlines or two.
TEST(HttpLimits, RequestsAreAnsweredBetweenTheDeadlinesOfOthers) {
  constexpr int64_t kLate = 300;
  size_t steps = 0;
  for (int round = 0; round < 5 && steps < 10; ++round) {  // a busy machine may let the client wait for too long
    HttpOptions o = quick();
    o.threads = 1;
    o.head_time = 400ms;  // looked at every 50 ms
    o.max_connections_per_peer = 2 * kLate;
    Served s(o);
    HttpClient good = s.client();
    std::vector<HttpClient> late;
    for (int64_t i = 0; i < kLate; ++i) late.push_back(s.client());
    while (s.server.counts().open_connections <= kLate) std::this_thread::sleep_for(1ms);
    std::set<int64_t> seen;
    for (int64_t open = kLate + 1; open > 1; open = s.server.counts().open_connections) {
      seen.insert(open);
      ASSERT_EQ(good.ask(get_request("/hello")).status, 200);
    }
    steps = seen.size();
  }
  EXPECT_GE(steps, 10u);
}

TEST(HttpLimits, SlowBodiesAre408AndFastEnoughOnesAreNot) {
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

TEST(HttpLimits, IdleConnectionsAreClosed) {
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

TEST(HttpLimits, RepliesThatNobodyReadsAreGivenUp) {
  HttpOptions o = quick();
  o.write_time = 100ms;
  Served s(o);
  HttpClient c(s.server.port(), 4096);
  ASSERT_TRUE(c.send(get_request("/long")));
  for (int i = 0; i < 500 && s.server.counts().timeouts == 0; ++i) std::this_thread::sleep_for(2ms);
  EXPECT_EQ(s.server.counts().timeouts, 1);
  EXPECT_EQ(s.server.counts().open_connections, 0);
}

TEST(HttpLimits, LongRepliesArriveWhole) {
  Served s;
  HttpClient c = s.client();
  EXPECT_EQ(c.ask(get_request("/long")).body.size(), size_t{32} << 20);
  EXPECT_EQ(c.ask(get_request("/hello")).body, "hello");
}

TEST(HttpLimits, ConnectionsOverALimitAreToldAndComeInAgainLater) {
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

TEST(HttpLimits, MoreThanHandlersMayHoldIsRefusedAtOnceAndHealthIsNot) {
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

TEST(HttpLimits, BodiesOfAllRequestsHaveALargestSum) {
  HttpOptions o = quick();
  o.max_body = 60'000, o.max_bodies = 100'000;
  Served s(o);
  const auto begin = [](size_t length) {
    return "POST /hold HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(length) + "\r\n\r\n";
  };
  const auto expect_refused = [](const ClientReply& reply) {
    expect_error(reply, 503);
    EXPECT_EQ(reply.field("Retry-After"), "1");
  };
  HttpClient announced = s.client();
  ASSERT_TRUE(announced.send(begin(60'000)));  // what is only said takes no room
  HttpClient holds = s.client();
  ASSERT_TRUE(holds.send(begin(60'000) + std::string(60'000, 'a')));
  HttpExchange held = s.kept_exchange();
  EXPECT_EQ(s.server.counts().body_bytes, 60'000);

  HttpClient large = s.client();
  ASSERT_TRUE(large.send(begin(50'000)));
  expect_refused(large.receive());  // nothing of the body was sent
  EXPECT_TRUE(large.is_closed());
  HttpClient small = s.client();
  EXPECT_EQ(small.ask(post_request("/echo", std::string(30'000, 'b'))).body.size(), 30'000u);
  HttpClient chunked = s.client();
  const std::string chunk = "2000\r\n" + std::string(8192, 'c') + "\r\n";
  ASSERT_TRUE(chunked.send("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"));
  for (int i = 0; i < 6; ++i) chunked.send(chunk);  // it may be refused before the last
  expect_refused(chunked.receive());
  announced.send(std::string(60'000, 'd'));
  expect_refused(announced.receive());
  EXPECT_EQ(s.server.counts().refused, 3);
  const auto settles_at = [&](int64_t bytes) {  // an exchange may go a little later than its reply
    for (int i = 0; i < 500 && s.server.counts().body_bytes != bytes; ++i) std::this_thread::sleep_for(2ms);
    return s.server.counts().body_bytes == bytes;
  };
  EXPECT_TRUE(settles_at(60'000)) << "those that were refused hold nothing";

  held.reply(text("done"));
  held = HttpExchange(nullptr);
  EXPECT_EQ(holds.receive().body, "done");
  EXPECT_TRUE(settles_at(0));
  HttpClient broken = s.client();
  ASSERT_TRUE(broken.send(begin(60'000) + std::string(30'000, 'e')));
  for (int i = 0; i < 500 && s.server.counts().body_bytes < 30'000; ++i) std::this_thread::sleep_for(2ms);
  EXPECT_GE(s.server.counts().body_bytes, 30'000);
  broken.close_now();
  EXPECT_TRUE(settles_at(0));
  EXPECT_EQ(small.ask(post_request("/echo", std::string(60'000, 'b'))).body.size(), 60'000u);
}

// One that has come already needs no closed connection to be refused.
TEST(HttpLimits, ABodyThatCameWithItsHeadIsRefusedOnAnOpenConnection) {
  HttpOptions o = quick();
  o.max_body = 10'000, o.max_bodies = 12'000;
  Served s(o);
  HttpClient holds = s.client(), c = s.client();
  ASSERT_TRUE(holds.send(post_request("/hold", std::string(10'000, 'a'))));
  const HttpExchange held = s.kept_exchange();
  expect_error(c.ask(post_request("/echo", std::string(5'000, 'a'))), 503);
  EXPECT_EQ(c.ask(post_request("/echo", std::string(2'000, 'a'))).body.size(), 2'000u);
}

TEST(HttpLimits, KeysAreAskedFor) {
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

TEST(HttpLimits, HandlersNeverSeeTheKey) {
  HttpOptions o = quick();
  o.api_keys = {"first-key-0123456789"};
  Served s(o);
  HttpClient c = s.client();
  ASSERT_TRUE(c.send(get_request("/keep", "Authorization: Bearer first-key-0123456789\r\nX-A: b\r\n")));
  HttpExchange x = s.kept_exchange();
  ASSERT_EQ(x.request().fields.size(), 2u);  // Host and X-A
  EXPECT_EQ(x.request().client, "key 1");
}

TEST(HttpLimits, TooManyRequestsOfAClientAre429) {
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

TEST(HttpLimits, StopAnswersWhatIsUnderWay) {
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

TEST(HttpLimits, StopWaitsNoLongerThanItsGrace) {
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

}  // namespace
}  // namespace winnow
