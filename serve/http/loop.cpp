#include "serve/http/loop.h"

#include <algorithm>
#include <csignal>

#include "core/scheduling.h"
#include "serve/http/connection.h"
#include "serve/http/reply.h"

namespace winnow {
namespace {

// Deadlines are looked at once a tick instead of each being a timer: a request then costs none.
std::chrono::milliseconds tick_of(const HttpOptions& o) {
  const auto shortest = std::min({o.head_time, o.idle_time, o.body_grace, o.write_time, o.handler_time});
  return std::clamp(shortest / 8, std::chrono::milliseconds(2), std::chrono::milliseconds(50));
}

constexpr int kLookedAtOnce = 128;

}  // namespace

HttpLoop::HttpLoop(const HttpOptions& options) : tick_(tick_of(options)) {}

void HttpLoop::start() {
  thread_ = std::thread([this] { run(); });
}

void HttpLoop::run() {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);  // signals are the main thread's
  prefer_latency();
  current_ = this;
  bool done = false;
  while (!done) {
    try {
      if (!draining_) tick();
      io_.run();
      done = true;
    } catch (const std::exception&) {}  // no memory: the connection it was needed for runs into its deadline
  }
  current_ = nullptr;
  left_.set_value();
}

void HttpLoop::tick() {
  const auto wall = std::chrono::system_clock::now().time_since_epoch();
  if (const int64_t seconds = std::chrono::duration_cast<std::chrono::seconds>(wall).count();
      seconds != date_seconds_) {
    date_seconds_ = seconds;
    date_ = http_date(seconds);
  }
  not_looked_at_ = connections_.size();
  look_at_deadlines();
}

// Some at a time: to reset a connection costs up to 0.1 ms, in which the kernel lets go of what was not read, and a
// tick can find dozens of them; requests that came meanwhile are answered between. The list may change between: one
// that is removed leaves its place to the last, so that those not looked at stay among the first.
void HttpLoop::look_at_deadlines() {
  const auto now = Clock::now();
  not_looked_at_ = std::min(not_looked_at_, connections_.size());
  for (int looked = 0; not_looked_at_ > 0 && looked < kLookedAtOnce; ++looked) {
    const std::shared_ptr<HttpConnection>& next = connections_[--not_looked_at_];
    if (now < next->deadline()) continue;
    const std::shared_ptr<HttpConnection> late = next;  // it may leave the list
    late->on_deadline(now);
    break;
  }
  if (not_looked_at_ > 0) return net::post(io_, [this] { look_at_deadlines(); });
  if (draining_ && connections_.empty()) return;  // left within this tick, or while it was due
  timer_.expires_after(tick_);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) tick();
  });
}

void HttpLoop::add(std::shared_ptr<HttpConnection> connection) {
  connection->slot = connections_.size();
  connections_.push_back(std::move(connection));
}

void HttpLoop::remove(HttpConnection& connection) {
  const size_t slot = connection.slot;
  connections_.back()->slot = slot;
  std::swap(connections_[slot], connections_.back());
  connections_.pop_back();
  leave_if_done();
}

void HttpLoop::leave_if_done() {
  if (!draining_ || !connections_.empty()) return;
  work_.reset();
  timer_.cancel();
}

void HttpLoop::drain() {
  post([this] {
    draining_ = true;
    for (size_t i = connections_.size(); i-- > 0;) {
      const std::shared_ptr<HttpConnection> connection = connections_[i];
      connection->drain();
    }
    leave_if_done();
  });
}

void HttpLoop::end(Clock::time_point until) {
  if (left_.get_future().wait_until(until) != std::future_status::ready) {
    post([this] {
      while (!connections_.empty()) {
        const std::shared_ptr<HttpConnection> connection = connections_.back();
        connection->close();
      }
    });
  }
  thread_.join();
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  io_.restart();
  io_.poll();  // what came while the thread ended: replies and new connections hold the loop alive until they ran
}

}  // namespace winnow
