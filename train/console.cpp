#include "train/console.h"

#include <unistd.h>

#include <csignal>
#include <cstdio>

namespace winnow {
namespace {

std::atomic<bool> stop_flag{false};

extern "C" void on_signal(int signal) {
  if (stop_flag.exchange(true)) {
    std::signal(signal, SIG_DFL);
    std::raise(signal);
  }
}

void print(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

}  // namespace

std::atomic<bool>& interrupted() { return stop_flag; }
void handle_interrupts() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

bool is_terminal(int descriptor) { return isatty(descriptor) != 0; }

std::string duration(double seconds) {
  const auto s = static_cast<int64_t>(seconds + 0.5);
  if (s < 60) return fmt::format("{} s", s);
  if (s < 3600) return fmt::format("{}:{:02}", s / 60, s % 60);
  return fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
}

ConsoleListener::ConsoleListener(int64_t batch_size, bool quiet)
    : batch_size_(batch_size), quiet_(quiet), tty_(is_terminal(STDERR_FILENO)) {}

void ConsoleListener::clear_line() {
  if (line_open_) print("\r\x1b[K");
  line_open_ = false;
}

void ConsoleListener::on_message(const std::string& text) {
  clear_line();
  print(text + "\n");
}

void ConsoleListener::on_start(const Program& program, int64_t parameters, int64_t steps_per_epoch) {
  if (quiet_) return;
  print(fmt::format("{} parameters, {} steps an epoch, {} nodes a step\n{}", parameters, steps_per_epoch,
                    program.nodes(), program.memory().str()));
}

void ConsoleListener::on_step(int64_t epoch, int64_t step, int64_t steps, double mean_loss) {
  if (quiet_) return;
  const auto now = std::chrono::steady_clock::now();
  if (epoch != epoch_) {
    epoch_ = epoch;
    first_step_ = step - 1;
    epoch_start_ = last_print_ = now;
  }
  const auto since = [&](auto then) { return std::chrono::duration<double>(now - then).count(); };
  if (since(last_print_) < (tty_ ? 0.1 : 10.0)) return;
  last_print_ = now;
  const double rate = static_cast<double>(step - first_step_) / since(epoch_start_);
  const std::string text =
      fmt::format("epoch {} {:3.0f}% step {}/{} loss {:.5f} {:.0f} rows/s, {} left", epoch + 1,
                  100.0 * static_cast<double>(step) / static_cast<double>(steps), step, steps, mean_loss,
                  rate * static_cast<double>(batch_size_), duration(static_cast<double>(steps - step) / rate));
  if (tty_) clear_line();
  print(tty_ ? text : text + "\n");
  line_open_ = tty_;
}

void ConsoleListener::on_epoch(int64_t epoch, double train_loss, const std::vector<NamedMetric>& validation,
                               bool improved, double seconds) {
  if (quiet_) return;
  clear_line();
  std::string text = fmt::format("epoch {}: train loss {:.5f}", epoch, train_loss);
  for (const NamedMetric& m : validation) text += fmt::format(", valid {} {:.5f}", m.name, m.value);
  print(fmt::format("{}{} ({})\n", text, improved ? " *" : "", duration(seconds)));
}

}  // namespace winnow
