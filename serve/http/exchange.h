// The state of an exchange, and a pool of them: a request's strings keep their memory for the next one. All bodies
// together have a bound.
#pragma once
#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "serve/http/server.h"

namespace winnow {

class HttpConnection;

struct HttpExchange::State {
  HttpRequest request;
  std::atomic<bool> answered{false}, open{true};
  std::shared_ptr<HttpConnection> connection;
  uint64_t serial = 0;   // of the request on its connection
  size_t body_room = 0;  // of what max_bodies allows, what this body may fill
};

class ExchangePool : public std::enable_shared_from_this<ExchangePool> {
 public:
  explicit ExchangePool(size_t max_bodies);
  std::unique_ptr<HttpExchange::State> take();
  // The last copy that goes answers with 500 unless there was a reply, and the state returns to the pool.
  std::shared_ptr<HttpExchange::State> share(std::unique_ptr<HttpExchange::State> state);
  int64_t in_flight() const { return in_flight_.load(std::memory_order_relaxed); }
  void give_back(std::unique_ptr<HttpExchange::State> state) noexcept;

  bool has_room(size_t bytes) const { return bytes <= max_bodies_ && body_bytes() <= max_bodies_ - bytes; }
  // Room for `bytes` of the state's body, with some to grow, at most `most`; false: the bodies of all are too much.
  bool make_room(HttpExchange::State& state, size_t bytes, size_t most);
  void drop_body(HttpExchange::State& state) noexcept;
  size_t body_bytes() const { return body_bytes_.load(std::memory_order_relaxed); }

 private:
  const size_t max_bodies_;
  std::atomic<size_t> body_bytes_{0};  // the sum of body_room
  std::atomic<int64_t> in_flight_{0};  // shared and not back
  std::mutex mutex_;
  std::vector<std::unique_ptr<HttpExchange::State>> spare_;
};

}  // namespace winnow
