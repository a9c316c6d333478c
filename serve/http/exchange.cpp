#include "serve/http/exchange.h"

#include <algorithm>

#include "serve/http/connection.h"

namespace winnow {
namespace {

constexpr size_t kMaxSpare = 256, kMaxSpareBody = 64 << 10;  // 16 MiB at most, beside max_bodies
constexpr size_t kLeastRoom = 4 << 10;

std::string_view value_of(const std::vector<std::pair<std::string, std::string>>& pairs, std::string_view name) {
  for (const auto& [key, value] : pairs)
    if (key == name) return value;
  return {};
}

void deliver(HttpExchange::State& state, HttpReply reply) {
  if (!state.answered.exchange(true)) state.connection->deliver(state.serial, std::move(reply));
}

void finish(HttpExchange::State* state, const std::shared_ptr<ExchangePool>& pool) noexcept {
  std::unique_ptr<HttpExchange::State> owned(state);
  try {
    if (!owned->answered.exchange(true))
      owned->connection->deliver(owned->serial, http_error(500, "the request was not answered"), true);
  } catch (const std::exception&) {}  // no memory: handler_time ends the request
  pool->give_back(std::move(owned));
}

}  // namespace

std::string_view HttpRequest::field(std::string_view name) const { return value_of(fields, name); }
std::string_view HttpRequest::parameter(std::string_view name) const { return value_of(parameters, name); }
std::string_view HttpRequest::path_parameter(std::string_view name) const { return value_of(path_parameters, name); }

const HttpRequest& HttpExchange::request() const { return state_->request; }
void HttpExchange::reply(HttpReply reply) { deliver(*state_, std::move(reply)); }
bool HttpExchange::is_open() const {
  return state_->open.load(std::memory_order_relaxed) && !state_->answered.load(std::memory_order_relaxed);
}

ExchangePool::ExchangePool(size_t max_bodies) : max_bodies_(max_bodies) { spare_.reserve(kMaxSpare); }

std::unique_ptr<HttpExchange::State> ExchangePool::take() {
  {
    const std::lock_guard lock(mutex_);
    if (!spare_.empty()) {
      std::unique_ptr<HttpExchange::State> state = std::move(spare_.back());
      spare_.pop_back();
      return state;
    }
  }
  return std::make_unique<HttpExchange::State>();
}

std::shared_ptr<HttpExchange::State> ExchangePool::share(std::unique_ptr<HttpExchange::State> state) {
  in_flight_.fetch_add(1, std::memory_order_relaxed);
  return {state.release(), [pool = shared_from_this()](HttpExchange::State* s) { finish(s, pool); }};
}

bool ExchangePool::make_room(HttpExchange::State& state, size_t bytes, size_t most) {
  if (bytes <= state.body_room) return true;
  // Doubled, as a string grows: what a client says it will send takes no room before it comes.
  const size_t room = std::min(std::max({bytes, 2 * state.body_room, kLeastRoom}), std::max(bytes, most));
  const size_t more = room - state.body_room;
  if (body_bytes_.fetch_add(more, std::memory_order_relaxed) + more > max_bodies_) {
    body_bytes_.fetch_sub(more, std::memory_order_relaxed);
    return false;
  }
  state.body_room = room;
  state.request.body.reserve(room);
  return true;
}

void ExchangePool::drop_body(HttpExchange::State& state) noexcept {
  state.request.body.clear();
  if (state.request.body.capacity() > kMaxSpareBody) state.request.body.shrink_to_fit();
  body_bytes_.fetch_sub(std::exchange(state.body_room, 0), std::memory_order_relaxed);
}

void ExchangePool::give_back(std::unique_ptr<HttpExchange::State> state) noexcept {
  in_flight_.fetch_sub(1, std::memory_order_relaxed);
  state->answered = false;
  state->open = true;
  state->connection.reset();
  drop_body(*state);
  const std::lock_guard lock(mutex_);
  if (spare_.size() < spare_.capacity()) spare_.push_back(std::move(state));
}

}  // namespace winnow
