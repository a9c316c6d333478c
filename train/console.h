// What a person sees while a command runs, on stderr; stdout is for results. On a terminal: one line that is rewritten,
// with a bar, the rate and the time left. In a pipe or a file: plain lines, no control characters, one in ten seconds.
#pragma once
#include <atomic>
#include <chrono>
#include <cstdio>
#include <string>

#include "train/trainer.h"

namespace winnow {

// What a stream can show.
struct Terminal {
  bool tty = false;
  bool colour = false;   // a tty, NO_COLOR unset or empty (no-color.org), TERM neither empty nor "dumb"
  bool unicode = false;  // LC_ALL, LC_CTYPE or LANG, the first that is set, names UTF-8
  int width = 80;        // columns
  static Terminal of(std::FILE* stream);
};

// The progress of one loop over rows, bytes or steps.
//   Progress progress("reading", bytes, Progress::Unit::Bytes);
//   while (...) progress.update(done);
//   progress.finish();
class Progress {
 public:
  enum class Unit : uint8_t { Rows, Bytes, Steps };
  // total 0: not known; then there is no bar and no time left. quiet: nothing is ever written.
  Progress(std::string label, int64_t total, Unit unit, bool quiet = false);
  Progress(std::string label, int64_t total, Unit unit, bool quiet, std::FILE* to, const Terminal& terminal);
  ~Progress();  // as clear()
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // `done` so far, from one thread; looks at the clock each time and seldom writes. note: stands behind the label.
  void update(int64_t done, const std::string& note = "");
  // The unit per second is shown times this factor: rows of a step.
  void set_rate_unit(double factor, std::string unit);
  void clear();                               // takes the line off the terminal, so that something else can be written
  void finish(const std::string& text = "");  // clear(), then the text, or "label: 12 345 rows in 3 s" without one
  // The line for a terminal, no wider than it, without the control characters around it.
  std::string line(int64_t done, double seconds, const std::string& note) const;

 private:
  std::string amount(double n) const;
  std::string facts(int64_t done, double seconds, bool brief) const;
  std::string label_;
  int64_t total_, first_ = -1, done_ = 0;
  Unit unit_;
  bool quiet_;
  std::FILE* to_;
  Terminal terminal_;
  double rate_factor_ = 1;
  std::string rate_unit_;
  bool open_ = false;
  std::chrono::steady_clock::time_point start_, printed_;
};

// quiet: messages alone, which say what is out of the ordinary (a step skipped, a checkpoint passed over).
class ConsoleListener final : public TrainListener {
 public:
  explicit ConsoleListener(int64_t batch_size, bool quiet = false);
  ~ConsoleListener() override;
  void on_start(const Program& program, int64_t parameters, int64_t steps_per_epoch) override;
  void on_rate(const std::string& unit, double units_per_step) override;
  void on_step(int64_t epoch, int64_t step_in_epoch, int64_t steps_per_epoch, double mean_loss) override;
  void on_epoch(int64_t epoch, double train_loss, const std::vector<NamedMetric>& validation, bool improved,
                double seconds) override;
  void on_cache(const CacheCounts& counts) override;
  void on_message(const std::string& text) override;

 private:
  std::string unit_ = "rows";
  double units_per_step_;
  bool quiet_;
  Terminal terminal_;
  int64_t epoch_ = -1;
  std::unique_ptr<Progress> progress_;
};

// "42 s", "3:20", "1:05:00"
std::string duration(double seconds);
bool is_terminal(int descriptor);

// Set by SIGINT and SIGTERM once handle_interrupts() was called; the second signal ends the process at once.
std::atomic<bool>& interrupted();
void handle_interrupts();

}  // namespace winnow
