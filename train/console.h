// What a person sees while a command runs: a progress line with rate and time left on a terminal, plain lines in a
// pipe. All of it goes to stderr; stdout is for results.
#pragma once
#include <atomic>
#include <chrono>
#include <string>

#include "train/trainer.h"

namespace winnow {

class ConsoleListener final : public TrainListener {
 public:
  explicit ConsoleListener(int64_t batch_size, bool quiet = false);
  void on_start(const Program& program, int64_t parameters, int64_t steps_per_epoch) override;
  void on_step(int64_t epoch, int64_t step_in_epoch, int64_t steps_per_epoch, double mean_loss) override;
  void on_epoch(int64_t epoch, double train_loss, const std::vector<NamedMetric>& validation, bool improved,
                double seconds) override;
  void on_message(const std::string& text) override;

 private:
  void clear_line();
  int64_t batch_size_;
  bool quiet_, tty_;
  bool line_open_ = false;
  int64_t epoch_ = -1, first_step_ = 0;
  std::chrono::steady_clock::time_point epoch_start_, last_print_;
};

// "42 s", "3:20", "1:05:00"
std::string duration(double seconds);
bool is_terminal(int descriptor);

// Set by SIGINT and SIGTERM once handle_interrupts() was called; the second signal ends the process at once.
std::atomic<bool>& interrupted();
void handle_interrupts();

}  // namespace winnow
