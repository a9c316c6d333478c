// A thread of I/O with its connections: each connection lives on one, so that it needs no lock.
#pragma once
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <chrono>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "serve/http/service.h"

namespace winnow {

class HttpLoop : public std::enable_shared_from_this<HttpLoop> {
 public:
  using Clock = std::chrono::steady_clock;
  explicit HttpLoop(const HttpOptions& options);

  void start();  // the thread
  bool is_this_thread() const { return current_ == this; }
  // Runs f on the thread; once that has ended f is let go. From any thread.
  template <class F>
  void post(F f) {
    const std::lock_guard lock(mutex_);
    if (!ended_) net::post(io_, std::move(f));
  }

  // On the thread itself:
  void add(std::shared_ptr<HttpConnection> connection);
  void remove(HttpConnection& connection);
  const std::string& date() const { return date_; }

  // From another thread: connections answer what is under way, then the thread ends; after `until` they are closed.
  void drain();
  void end(Clock::time_point until);
  net::io_context& io() { return io_; }

 private:
  void run();
  void tick();
  void look_at_deadlines();
  void leave_if_done();

  inline static thread_local const HttpLoop* current_ = nullptr;
  net::io_context io_{1};
  net::executor_work_guard<net::io_context::executor_type> work_{io_.get_executor()};
  net::basic_waitable_timer<Clock, net::wait_traits<Clock>, net::io_context::executor_type> timer_{io_};
  const std::chrono::milliseconds tick_;
  std::vector<std::shared_ptr<HttpConnection>> connections_;
  size_t not_looked_at_ = 0;  // the first ones of connections_, by this tick
  std::string date_;
  int64_t date_seconds_ = -1;
  bool draining_ = false;
  std::mutex mutex_;
  bool ended_ = false;  // under mutex_
  std::promise<void> left_;
  std::thread thread_;
};

}  // namespace winnow
