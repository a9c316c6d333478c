// The state of an exchange, and a pool of them: a request's strings keep their memory for the next one.
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
  uint64_t serial = 0;  // of the request on its connection
};

class ExchangePool : public std::enable_shared_from_this<ExchangePool> {
 public:
  ExchangePool();
  std::unique_ptr<HttpExchange::State> take();
  // The last copy that goes answers with 500 unless there was a reply, and the state returns to the pool.
  std::shared_ptr<HttpExchange::State> share(std::unique_ptr<HttpExchange::State> state);
  int64_t in_flight() const { return in_flight_.load(std::memory_order_relaxed); }
  void give_back(std::unique_ptr<HttpExchange::State> state) noexcept;

 private:
  std::atomic<int64_t> in_flight_{0};  // shared and not back
  std::mutex mutex_;
  std::vector<std::unique_ptr<HttpExchange::State>> spare_;
};

}  // namespace winnow
