// What all connections of a server share.
#pragma once
#include <atomic>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "serve/http/access.h"
#include "serve/http/exchange.h"
#include "serve/http/head.h"
#include "serve/http/routes.h"
#include "serve/http/server.h"

namespace winnow {

namespace net = boost::asio;
using NetError = boost::system::error_code;
using HttpSocket = net::basic_stream_socket<net::ip::tcp, net::io_context::executor_type>;

// How many connections there are, in all and of each peer.
class HttpPeers {
 public:
  HttpPeers(int64_t most, int64_t most_per_peer) : most_(most), most_per_peer_(most_per_peer) {}
  static std::string name(net::ip::address address);  // an IPv4 address, or an IPv6 /64: anyone has many of those
  bool enter(const std::string& peer);                // false: over a limit
  void leave(const std::string& peer);
  bool enter_refused();  // those that are only told so; false: too many of them as well
  void leave_refused();
  int64_t open() const;

 private:
  const int64_t most_, most_per_peer_;
  mutable std::mutex mutex_;
  int64_t open_ = 0, refused_ = 0;
  std::map<std::string, int64_t> of_peer_;
};

struct HttpCounters {
  std::atomic<int64_t> connections{0}, requests{0}, bad_requests{0}, refused{0}, timeouts{0}, failed{0};
  std::atomic<int64_t> bytes_in{0}, bytes_out{0};
  void count_reply(int status);  // one that the server made itself
};
inline void add(std::atomic<int64_t>& counter, size_t n = 1) {
  counter.fetch_add(static_cast<int64_t>(n), std::memory_order_relaxed);
}

struct HttpService {
  explicit HttpService(HttpOptions given);  // ConfigError, IoError
  const HttpOptions options;
  const HttpHeadLimits limits;
  const HttpKeys keys;
  RateLimits rates;
  std::unique_ptr<net::ssl::context> tls;  // null: plain
  HttpRoutes routes;
  HttpPeers peers;
  HttpCounters counters;
  std::shared_ptr<ExchangePool> exchanges;
  std::atomic<bool> draining{false};
};

}  // namespace winnow
