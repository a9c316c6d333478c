// Concurrent calls that share one commit: callers wait, one writer thread takes all that have come.
#pragma once
#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "core/error.h"

namespace winnow::detail {

// Work: what one call hands over, with size().
template <class Work>
class GroupCommit {
 public:
  struct Call {
    const Work* work;
    int64_t result = 0;          // set by Commit
    std::exception_ptr error{};  // or this
    bool done = false;
  };
  // Runs on the writer thread over at least one call; what it throws is the error of all of them.
  using Commit = std::function<void(std::span<Call* const>)>;

  // max_size: of the work in one commit, unless a single call is larger.
  GroupCommit(size_t max_size, Commit commit)
      : max_size_(max_size), commit_(std::move(commit)), writer_([this] { write(); }) {}
  ~GroupCommit() {  // no call may be waiting
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    came_.notify_one();
    writer_.join();
  }
  GroupCommit(const GroupCommit&) = delete;
  GroupCommit& operator=(const GroupCommit&) = delete;

  int64_t run(const Work& work) {
    Call call{.work = &work};
    std::unique_lock lock(mutex_);
    waiting_.push_back(&call);
    came_.notify_one();
    done_.wait(lock, [&] { return call.done; });
    if (call.error) std::rethrow_exception(call.error);
    return call.result;
  }

 private:
  void write() {
    std::vector<Call*> calls;
    std::unique_lock lock(mutex_);
    while (true) {
      came_.wait(lock, [&] { return stop_ || !waiting_.empty(); });
      if (waiting_.empty()) return;
      size_t n = 1;
      for (size_t size = waiting_[0]->work->size(); n < waiting_.size(); ++n)
        if ((size += waiting_[n]->work->size()) > max_size_) break;
      calls.assign(waiting_.begin(), waiting_.begin() + static_cast<ptrdiff_t>(n));
      waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<ptrdiff_t>(n));
      lock.unlock();
      try {
        commit_(calls);
      } catch (const std::exception&) {
        for (Call* call : calls) call->error = std::current_exception();
      }
      lock.lock();
      for (Call* call : calls) call->done = true;
      done_.notify_all();
    }
  }

  const size_t max_size_;
  Commit commit_;
  std::mutex mutex_;
  std::condition_variable came_, done_;
  std::vector<Call*> waiting_;
  bool stop_ = false;
  std::thread writer_;  // last: it uses the rest
};

}  // namespace winnow::detail
