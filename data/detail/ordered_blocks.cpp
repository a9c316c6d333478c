#include "data/detail/ordered_blocks.h"

#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>

#include "core/parallel.h"

namespace winnow::detail {
namespace {

class Crew {
 public:
  Crew(RowReader& reader, const BlockStep& work, const BlockStep& take) : reader_(reader), work_(work), take_(take) {}

  void run(int worker) {
    RowBlock block;
    while (handle(worker, block)) {}
  }
  void finish() const {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  // False when there is nothing more to do.
  bool handle(int worker, RowBlock& block) {
    int64_t sequence = 0, first_row = 0;
    bool more = false;
    std::exception_ptr error;
    const auto attempt = [&error](auto&& step) {
      try {
        step();
      } catch (...) { error = std::current_exception(); }
    };
    {
      const std::lock_guard lock(reading_);
      if (ended_) return false;
      sequence = read_++;
      attempt([&] { more = reader_.next(block); });
      ended_ = !more;
      first_row = rows_;
      if (more) rows_ += block.rows;
    }
    if (more) attempt([&] { work_(worker, block, first_row); });
    std::unique_lock lock(taking_);
    turned_.wait(lock, [&] { return turn_ == sequence || stopped_; });
    if (stopped_) return false;
    if (more && !error) attempt([&] { take_(worker, block, first_row); });
    error_ = error;
    stopped_ = error_ != nullptr;
    ++turn_;
    turned_.notify_all();
    return more && !stopped_;
  }

  RowReader& reader_;
  const BlockStep &work_, &take_;
  std::mutex reading_, taking_;
  std::condition_variable turned_;
  int64_t read_ = 0, rows_ = 0, turn_ = 0;
  bool ended_ = false, stopped_ = false;
  std::exception_ptr error_;
};

}  // namespace

void ordered_blocks(RowReader& reader, int workers, const BlockStep& work, const BlockStep& take) {
  Crew crew(reader, work, take);
  {
    std::vector<std::jthread> others;
    for (int worker = 1; worker < workers; ++worker) others.emplace_back([&crew, worker] { crew.run(worker); });
    crew.run(0);
  }
  crew.finish();
}

int reading_workers() { return std::min(num_threads(), 8); }

}  // namespace winnow::detail
