// HTTP/1.1 on Boost.Beast: limits, timeouts, keys and rates; what is answered is the handlers' affair.
//
//   HttpServer server(options);
//   server.route("POST", "/v1/score", [&](HttpExchange x) { x.reply({200, "application/json", answer(x.request())});
//   }); server.run(stop);                       // until stop.requested(), then answers what is under way
//
// A handler runs on an I/O thread and must not compute for long: it hands the exchange on and replies from any thread.
#pragma once
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace winnow {

struct HttpOptions {
  std::string host = "127.0.0.1";        // others only with api_keys, or with `open` set
  uint16_t port = 8080;                  // 0: any free one, HttpServer::port() tells
  int threads = 1;                       // of I/O
  bool open = false;                     // serve others than this machine without keys
  std::vector<std::string> api_keys;     // Authorization: Bearer KEY, or X-Api-Key; empty: none needed
  double requests_per_second = 0;        // of a client (its key, else its address); 0: no limit
  double burst = 0;                      // 0: one second's worth
  std::string certificate, private_key;  // PEM files: TLS 1.2 and 1.3
  size_t max_body = 1 << 20, max_head = 16 << 10, max_fields = 100;
  int64_t max_connections = 1024, max_connections_per_peer = 64;
  std::chrono::milliseconds head_time{10'000}, idle_time{30'000}, body_grace{5'000}, write_time{10'000};
  size_t body_bytes_per_second = 1024;             // after body_grace
  std::chrono::milliseconds handler_time{10'000};  // 504 when no reply came by then
};

struct HttpRequest {
  std::string method, path, query;  // path decoded and without dot segments; query as sent
  std::vector<std::pair<std::string, std::string>> fields, parameters, path_parameters;  // field names in lower case
  std::string body, client;  // client: of the rate limit, without the key itself
  std::chrono::steady_clock::time_point arrived;
  std::string_view field(std::string_view name) const;      // "" when absent
  std::string_view parameter(std::string_view name) const;  // of the query, decoded; "" when absent
  std::string_view path_parameter(std::string_view name) const;
};

struct HttpReply {
  int status = 200;
  std::string type = "application/json";
  std::string body;
  std::vector<std::pair<std::string, std::string>> fields;  // further ones, such as Retry-After
};

// One request and the right to answer it, once. Dropped without a reply: 500. Replies after the connection went are
// let go.
class HttpExchange {
 public:
  const HttpRequest& request() const;
  void reply(HttpReply reply);
  bool is_open() const;  // false: the client has gone, or waited longer than handler_time: not worth computing
  // What a server sent events page needs, or a long download: not offered.
  struct State;
  explicit HttpExchange(std::shared_ptr<State> state) : state_(std::move(state)) {}

 private:
  std::shared_ptr<State> state_;
};
using HttpHandler = std::function<void(HttpExchange)>;

struct HttpCounts {
  int64_t connections = 0, open_connections = 0, requests = 0, bad_requests = 0, refused = 0, timeouts = 0;
  int64_t bytes_in = 0, bytes_out = 0;
};

// {"error": {"status": 404, "message": "..."}}
HttpReply http_error(int status, std::string_view message);

class HttpServer {
 public:
  explicit HttpServer(HttpOptions options);  // ConfigError; IoError: the port is taken, a certificate is none
  ~HttpServer();
  // pattern: "/v1/score", "/v2/models/{name}/infer". Before start(). `open`: no key is needed (health, the page).
  void route(std::string method, std::string pattern, HttpHandler handler, bool open = false);
  void start();  // returns; the threads serve
  // No new connections or requests, those under way are answered for up to `grace`.
  void stop(std::chrono::milliseconds grace = std::chrono::milliseconds{5'000});
  uint16_t port() const;
  HttpCounts counts() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace winnow
