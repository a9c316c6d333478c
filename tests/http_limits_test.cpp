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
  expect_error(c.ask(get_request("/keep")), 504);
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
  ClientReply reply;
  ASSERT_TRUE(c.send("GET /hello HTTP/1.1\r\nHost: a\r\nX: "));
  EXPECT_TRUE(comes_to_hold([&] {  // it never pauses for as long as head_time
    c.send("a");
    reply = c.receive(false, 5);
    return reply.status != 0;
  }));
  expect_error(reply, 408);
  EXPECT_TRUE(c.is_closed());
  EXPECT_TRUE(s.client().is_closed());  // one that says nothing
}

// The thread is held until the heads of 300 clients are due, all in one look at the deadlines, and 20 requests of
// another client wait: each request finds other connections open than the one before it.
TEST(HttpLimits, RequestsAreAnsweredBetweenTheDeadlinesOfOthers) {
  constexpr int64_t kLate = 300, kRequests = 20;
  std::promise<void> held, release;
  std::set<int64_t> seen;
  HttpOptions o = quick();
  o.threads = 1;
  o.head_time = 1s;  // in which a dozen clients connect, and more
  o.max_connections_per_peer = 2 * kLate;
  HttpServer server(o);
  server.route("GET", "/hold", [&](HttpExchange x) {
    held.set_value(), release.get_future().wait();
    x.reply(text("held"));
  });
  server.route("GET", "/open", [&](HttpExchange x) {
    seen.insert(server.counts().open_connections);
    x.reply(text("open"));
  });
  server.start();
  HttpClient good(server.port()), holds(server.port());
  for (HttpClient* c : {&good, &holds}) ASSERT_EQ(c->ask(get_request("/open")).status, 200);
  seen.clear();
  std::vector<HttpClient> late;
  for (int64_t i = 0; i < kLate; ++i) late.emplace_back(server.port());
  ASSERT_TRUE(comes_to_hold([&] { return server.counts().connections == kLate + 2; }));
  ASSERT_TRUE(holds.send(get_request("/hold")));
  held.get_future().wait();
  std::string requests;
  for (int64_t i = 0; i < kRequests; ++i) requests += get_request("/open");
  EXPECT_TRUE(good.send(requests));
  std::this_thread::sleep_for(o.head_time + 100ms);
  release.set_value();
  for (int64_t i = 0; i < kRequests; ++i) EXPECT_EQ(good.receive().body, "open");
  EXPECT_GE(seen.size(), 10u);
}

TEST(HttpLimits, SlowBodiesAre408AndFastEnoughOnesAreNot) {
  HttpOptions o = quick();
  o.body_grace = 100ms;
  o.body_bytes_per_second = 200;  // of what is sent below, ten seconds are ahead at any time
  Served s(o);
  HttpClient slow = s.client();
  ASSERT_TRUE(slow.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10000\r\n\r\nabc"));
  expect_error(slow.receive(), 408);
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
  EXPECT_TRUE(c.is_closed());
  EXPECT_EQ(s.server.counts().open_connections, 0);
}

TEST(HttpLimits, RepliesThatNobodyReadsAreGivenUp) {
  HttpOptions o = quick();
  o.write_time = 100ms;
  Served s(o);
  HttpClient c(s.server.port(), 4096);
  ASSERT_TRUE(c.send(get_request("/long")));
  EXPECT_TRUE(comes_to_hold([&] { return s.server.counts().timeouts == 1; }));
  EXPECT_TRUE(comes_to_hold([&] { return s.server.counts().open_connections == 0; }));
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
  EXPECT_TRUE(comes_to_hold([&] { return s.client().ask(get_request("/hello")).status == 200; }));
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
  o.body_grace = 60s;  // bodies that wait for what others do
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
  std::string chunks = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 6; ++i) chunks += chunk;
  chunked.send(chunks);  // it may be refused before the last
  expect_refused(chunked.receive());
  announced.send(std::string(60'000, 'd'));
  expect_refused(announced.receive());
  EXPECT_EQ(s.server.counts().refused, 3);
  const auto settles_at = [&](int64_t bytes) {  // an exchange may go a little later than its reply
    return comes_to_hold([&] { return s.server.counts().body_bytes == bytes; });
  };
  EXPECT_TRUE(settles_at(60'000)) << "those that were refused hold nothing";

  held.reply(text("done"));
  held = HttpExchange(nullptr);
  EXPECT_EQ(holds.receive().body, "done");
  EXPECT_TRUE(settles_at(0));
  HttpClient broken = s.client();
  ASSERT_TRUE(broken.send(begin(60'000) + std::string(30'000, 'e')));
  EXPECT_TRUE(comes_to_hold([&] { return s.server.counts().body_bytes >= 30'000; }));
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
  o.requests_per_second = 0.001;  // no time is long enough for another
  o.burst = 3;
  Served s(o);
  HttpClient c = s.client();
  const std::string first = "X-Api-Key: first-key-0123456789\r\n", second = "X-Api-Key: second-key-012345678\r\n";
  for (int i = 0; i < 3; ++i) EXPECT_EQ(c.ask(get_request("/hello", first)).status, 200);
  const ClientReply refused = c.ask(get_request("/hello", first));
  expect_error(refused, 429);
  EXPECT_NEAR(std::stod(refused.field("Retry-After")), 1000, 100);
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
  auto stopped = std::async(std::launch::async, [&] { s.server.stop(60s); });
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
  s.server.stop(100ms);  // and not for the handler's time
  EXPECT_FALSE(x.is_open());
  EXPECT_TRUE(c.is_closed());
}

}  // namespace
}  // namespace winnow
