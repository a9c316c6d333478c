// serve/http/server.h: what is answered, in which order, and by whom.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <atomic>
#include <thread>

#include "tests/error_text.h"
#include "tests/http_served.h"

namespace winnow {
namespace {

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
  EXPECT_TRUE(comes_to_hold([&] { return !x.is_open(); }));
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
