// A server with the routes that the tests of serve/http ask.
#pragma once
#include <gtest/gtest.h>

#include <future>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "core/error.h"
#include "serve/http/server.h"
#include "tests/http_client.h"

namespace winnow {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

inline HttpOptions quick() {
  HttpOptions o;
  o.port = 0;
  o.threads = 2;
  return o;
}

inline HttpReply text(std::string body) {
  return {.status = 200, .type = "text/plain", .body = std::move(body), .fields = {}};
}

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
    const auto keep = [this](HttpExchange x) {
      const std::lock_guard lock(mutex);
      kept.push_back(std::move(x));
    };
    server.route("GET", "/keep", keep);
    server.route("POST", "/hold", keep);
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
    HttpExchange x(nullptr);
    const bool came = comes_to_hold([&] {
      const std::lock_guard lock(mutex);
      if (kept.empty()) return false;
      x = std::move(kept.back());
      kept.pop_back();
      return true;
    });
    if (!came) throw DataError("no exchange came");
    return x;
  }
  std::mutex mutex;
  std::vector<HttpExchange> kept;
  std::vector<std::future<void>> workers;  // by one I/O thread at a time: /later is asked by one client
  HttpServer server;
};

// {"error": {"status", "message"}}, and nothing of this machine in it.
inline void expect_error(const ClientReply& reply, int status) {
  EXPECT_EQ(reply.status, status);
  if (reply.status == 0) return;
  const auto json = nlohmann::json::parse(reply.body, nullptr, false);
  ASSERT_TRUE(json.is_object()) << reply.body;
  EXPECT_EQ(json["error"]["status"], status);
  EXPECT_TRUE(json["error"]["message"].is_string());
  EXPECT_EQ(reply.field("Content-Type"), "application/json");
  EXPECT_EQ(reply.body.find("secret"), std::string::npos) << reply.body;
}

}  // namespace winnow
