// Threads that take turns at reading a serial source and parse what they read at the same time; results come in order.
#pragma once
#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace winnow::detail {

// read(work, former): the next piece of the source, false at the end; one call at a time; `former` is a result that
// came back, whose memory it may take. finish(work, result): any number of calls at a time. At most threads + 2 results
// wait, so memory is bounded. With one thread everything happens in next(). Ordinary threads, apart from the OpenMP
// team. An exception of either function comes out of next() in its place of the order and ends the stream.
template <class Work, class Result>
class OrderedWorkers {
 public:
  OrderedWorkers(int threads, std::function<bool(Work&, Result&)> read, std::function<void(Work&, Result&)> finish)
      : threads_(threads), read_(std::move(read)), finish_(std::move(finish)), slots_(capacity()) {}
  ~OrderedWorkers() { stop(); }
  OrderedWorkers(const OrderedWorkers&) = delete;
  OrderedWorkers& operator=(const OrderedWorkers&) = delete;

  // Exchanges `result`, whose memory is used again, for the next one; false at the end.
  bool next(Result& result) {
    if (finished_) return false;
    if (threads_ <= 1) return next_alone(result);
    if (workers_.empty())
      for (int i = 0; i < threads_; ++i) workers_.emplace_back([this] { run(); });
    std::unique_lock lock(state_);
    Slot& slot = slots_[delivered_ % slots_.size()];
    filled_.wait(lock, [&] { return slot.state != Slot::Empty; });
    const typename Slot::State state = slot.state;
    std::swap(result, slot.result);
    slot.state = Slot::Empty;
    ++delivered_;
    finished_ = state != Slot::Full;
    const std::exception_ptr error = std::exchange(slot.error, nullptr);
    lock.unlock();
    emptied_.notify_one();
    if (error) std::rethrow_exception(error);
    return state == Slot::Full;
  }

 private:
  struct Slot {
    enum State : uint8_t { Empty, Full, End } state = Empty;  // End: of the source, or by an error
    Result result;
    std::exception_ptr error;
  };

  size_t capacity() const { return threads_ <= 1 ? 1 : static_cast<size_t>(threads_) + 2; }

  bool next_alone(Result& result) {
    try {
      finished_ = !read_(alone_, result);
      if (!finished_) finish_(alone_, result);
      return !finished_;
    } catch (...) {
      finished_ = true;
      throw;
    }
  }

  // One worker: waits for a free slot and its turn, reads, lets the next one read, parses.
  void run() {
    Work work;
    for (;;) {
      std::unique_lock turn(reading_);
      if (ended_) return;
      Slot& slot = slots_[taken_ % slots_.size()];
      {
        std::unique_lock lock(state_);
        emptied_.wait(lock, [&] { return stopping_ || taken_ < delivered_ + slots_.size(); });
        if (stopping_) return;
      }
      ++taken_;
      Result& result = slot.result;  // nobody else touches a slot between its taking and its filling
      typename Slot::State state = Slot::Full;
      std::exception_ptr error;
      try {
        if (!read_(work, result)) state = Slot::End;
      } catch (...) { error = std::current_exception(); }
      ended_ = error != nullptr || state == Slot::End;
      turn.unlock();
      if (state == Slot::Full && !error) {
        try {
          finish_(work, result);
        } catch (...) { error = std::current_exception(); }
      }
      {
        const std::lock_guard lock(state_);
        slot.error = error;
        slot.state = error ? Slot::End : state;
      }
      filled_.notify_one();
    }
  }

  void stop() {
    {
      const std::lock_guard lock(state_);
      stopping_ = true;
    }
    emptied_.notify_all();
    for (std::thread& worker : workers_) worker.join();
  }

  int threads_;
  std::function<bool(Work&, Result&)> read_;
  std::function<void(Work&, Result&)> finish_;
  std::vector<Slot> slots_;
  std::vector<std::thread> workers_;
  std::mutex reading_;  // the turn to read: taken_, ended_
  std::mutex state_;    // delivered_, stopping_, the states of the slots
  std::condition_variable filled_, emptied_;
  size_t taken_ = 0, delivered_ = 0;
  bool ended_ = false, stopping_ = false, finished_ = false;
  Work alone_;
};

}  // namespace winnow::detail
