// HTTP/1.1 on Boost.Asio: limits, timeouts, keys and rates; what is answered is the handlers' affair. docs/http.md.
//
//   HttpServer server(options);
//   server.route("POST", "/v1/score", [&](HttpExchange x) {
//     x.reply({.type = "application/json", .body = answer(x.request())});
//   });
//   server.start();
//   ...
//   server.stop();  // answers what is under way
//
// A handler runs on an I/O thread and must not compute for long: it hands the exchange on and replies from any thread.
#pragma once
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
  std::vector<std::string> api_keys;     // Authorization: Bearer KEY, or X-Api-Key; 16 to 256 visible bytes each
  double requests_per_second = 0;        // of a client (its key, else its address); 0: no limit
  double burst = 0;                      // 0: one second's worth, at least 1
  std::string certificate, private_key;  // PEM files: TLS 1.2 and 1.3
  size_t max_body = 1 << 20, max_head = 16 << 10, max_target = 8 << 10, max_fields = 100;
  size_t max_bodies = 256 << 20;  // of all bodies that are read or handled, in bytes; more are 503 at once
  int64_t max_connections = 1024, max_connections_per_peer = 64;  // a peer: an IPv4 address, or an IPv6 /64
  int64_t max_in_flight = 1024;  // exchanges that handlers hold, those past 504 too; more are 503 at once
  // head_time: of a whole head, TLS handshakes too. write_time: until the kernel has taken a whole reply.
  std::chrono::milliseconds head_time{10'000}, idle_time{30'000}, body_grace{5'000}, write_time{10'000};
  size_t body_bytes_per_second = 1024;             // in every second after body_grace
  std::chrono::milliseconds handler_time{10'000};  // 504 when no reply came by then
};

struct HttpRequest {
  std::string method, path, query;  // path decoded and without dot segments; query as sent
  std::vector<std::pair<std::string, std::string>> fields, parameters, path_parameters;  // field names in lower case
  std::string body, client;  // client: of the rate limit, "key 2" or an address; never the key itself
  std::chrono::steady_clock::time_point arrived;                 // its head
  std::string_view field(std::string_view name) const;           // "" when absent; keys are left out
  std::string_view parameter(std::string_view name) const;       // of the query, decoded; "" when absent
  std::string_view path_parameter(std::string_view name) const;  // "" when absent
};

struct HttpReply {
  int status = 200;
  std::string type = "application/json";
  std::string body;
  std::vector<std::pair<std::string, std::string>> fields;  // further ones, such as Retry-After
};

// One request and the right to answer it, once; further replies are let go. Dropped without a reply: 500. Copies are
// the same exchange. It may outlive the connection and the server: replies after that are let go.
class HttpExchange {
 public:
  const HttpRequest& request() const;
  void reply(HttpReply reply);  // from any thread; 500 instead where a field is none that HTTP could send
  bool is_open()
      const;  // false: answered, the client has gone, or waited longer than handler_time: not worth computing
  struct State;
  explicit HttpExchange(std::shared_ptr<State> state) : state_(std::move(state)) {}

 private:
  std::shared_ptr<State> state_;
};
using HttpHandler = std::function<void(HttpExchange)>;  // what it throws is answered with 500, without its text

struct HttpCounts {
  int64_t connections = 0, open_connections = 0;
  int64_t requests = 0;      // heads, sound or not
  int64_t bad_requests = 0;  // 400, 413, 414, 417, 431, 501
  int64_t refused = 0;       // 401, 429, 503
  int64_t timeouts = 0;      // 408, 504, handshakes, replies that were not read
  int64_t failed = 0;        // 500: dropped exchanges, handlers that threw
  int64_t bytes_in = 0, bytes_out = 0;
  int64_t body_bytes = 0;  // of bodies that are read or handled now
};

// {"error": {"status": 404, "message": "..."}}
HttpReply http_error(int status, std::string_view message);

class HttpServer {
 public:
  explicit HttpServer(HttpOptions options);  // ConfigError; IoError: the port is taken, a certificate is none
  ~HttpServer();                             // stop() without grace
  // pattern: "/v1/score", "/v2/models/{name}/infer"; a {name} is one segment that is not empty, and a pattern without
  // any goes first. Before start(). `open`: no key is needed, and max_in_flight
  // does not count (health, the page). GET serves HEAD as well; OPTIONS, 404
  // and 405 are answered here. ConfigError: the pattern is none, or there already.
  void route(std::string method, std::string pattern, HttpHandler handler, bool open = false);
  void start();  // returns; the threads serve. Once.
  // No new connections or requests, those under way are answered for up to `grace`. Not from a handler.
  void stop(std::chrono::milliseconds grace = std::chrono::milliseconds{5'000});
  uint16_t port() const;
  HttpCounts counts() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace winnow
