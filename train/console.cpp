#include "train/console.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <csignal>
#include <cstdlib>

namespace winnow {
namespace {

using Clock = std::chrono::steady_clock;

std::atomic<bool> stop_flag{false};

extern "C" void on_signal(int signal) {
  if (stop_flag.exchange(true)) {
    std::signal(signal, SIG_DFL);
    std::raise(signal);
  }
}

void print(std::FILE* to, const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), to);
  std::fflush(to);
}

double since(Clock::time_point then) { return std::chrono::duration<double>(Clock::now() - then).count(); }

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

bool utf8_locale() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    std::string value = environment(name);
    if (value.empty()) continue;
    for (char& c : value) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return value.find("utf-8") != std::string::npos || value.find("utf8") != std::string::npos;
  }
  return false;
}

// `width` columns; a Unicode bar moves in eighths of a column.
std::string bar(double share, int width, bool unicode) {
  const double filled = std::clamp(share, 0.0, 1.0) * width;
  const int whole = static_cast<int>(filled);
  std::string text;
  if (!unicode) {
    for (int i = 0; i < width; ++i) text += i < whole ? '#' : '.';
    return "[" + text + "]";
  }
  constexpr std::array<const char*, 8> kEighths = {" ",      "\u258f", "\u258e", "\u258d",
                                                   "\u258c", "\u258b", "\u258a", "\u2589"};
  for (int i = 0; i < whole; ++i) text += "\u2588";
  if (whole < width) text += kEighths[static_cast<size_t>((filled - whole) * 8)];
  for (int i = whole + 1; i < width; ++i) text += " ";
  return "\u2595" + text + "\u258f";
}

std::string with_unit(double n, const char* unit) {
  if (n >= 1e9) return fmt::format("{:.2f} G {}", n / 1e9, unit);
  if (n >= 1e6) return fmt::format("{:.2f} M {}", n / 1e6, unit);
  if (n >= 1e4) return fmt::format("{:.1f} k {}", n / 1e3, unit);
  return fmt::format("{:.0f} {}", n, unit);
}

std::string byte_text(double n) {
  if (n >= 1073741824) return fmt::format("{:.2f} GiB", n / 1073741824);
  if (n >= 1048576) return fmt::format("{:.1f} MiB", n / 1048576);
  return fmt::format("{:.0f} KiB", n / 1024);
}

// The first `width` characters, never a part of one.
std::string cut(const std::string& text, int width) {
  int columns = 0;
  for (size_t i = 0; i < text.size(); ++i)
    if ((text[i] & 0xc0) != 0x80 && ++columns > width) return text.substr(0, i);
  return text;
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
  const auto s = static_cast<int64_t>(std::clamp(seconds, 0.0, 1e9) + 0.5);
  if (s < 60) return fmt::format("{} s", s);
  if (s < 3600) return fmt::format("{}:{:02}", s / 60, s % 60);
  return fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
}

Terminal Terminal::of(std::FILE* stream) {
  Terminal t;
  t.tty = is_terminal(fileno(stream));
  const std::string term = environment("TERM");
  t.colour = t.tty && environment("NO_COLOR").empty() && !term.empty() && term != "dumb";
  t.unicode = utf8_locale();
  winsize size{};
  if (t.tty && ioctl(fileno(stream), TIOCGWINSZ, &size) == 0 && size.ws_col > 0) t.width = size.ws_col;
  return t;
}

Progress::Progress(std::string label, int64_t total, Unit unit, bool quiet)
    : Progress(std::move(label), total, unit, quiet, stderr, Terminal::of(stderr)) {}

Progress::Progress(std::string label, int64_t total, Unit unit, bool quiet, std::FILE* to, const Terminal& terminal)
    : label_(std::move(label)),
      total_(total),
      unit_(unit),
      quiet_(quiet),
      to_(to),
      terminal_(terminal),
      start_(Clock::now()),
      printed_(start_) {}

Progress::~Progress() { clear(); }

void Progress::set_rate_unit(double factor, std::string unit) {
  rate_factor_ = factor;
  rate_unit_ = std::move(unit);
}

std::string Progress::amount(double n) const {
  return unit_ == Unit::Bytes ? byte_text(n) : with_unit(n, unit_ == Unit::Rows ? "rows" : "steps");
}

std::string Progress::facts(int64_t done, double seconds, bool brief) const {
  const double per_second = seconds > 0 ? static_cast<double>(done - std::max<int64_t>(first_, 0)) / seconds : 0;
  std::string text;
  if (!brief)
    text = total_ > 0 && unit_ == Unit::Steps ? fmt::format("step {}/{}, ", done, total_)
                                              : amount(static_cast<double>(done)) + ", ";
  text += (rate_unit_.empty() ? amount(per_second) : with_unit(per_second * rate_factor_, rate_unit_.c_str())) + "/s";
  if (total_ > 0 && per_second > 0)
    text += fmt::format(", {} left", duration(static_cast<double>(total_ - done) / per_second));
  return text;
}

std::string Progress::line(int64_t done, double seconds, const std::string& note) const {
  const std::string head = label_ + (note.empty() ? "" : " " + note) + " ";
  if (total_ <= 0) return cut(head + facts(done, seconds, false), terminal_.width - 1);
  const double share = static_cast<double>(done) / static_cast<double>(total_);
  const std::string per_cent = fmt::format(" {:3.0f}% ", 100 * share);
  for (const bool brief : {false, true}) {
    const std::string tail = per_cent + facts(done, seconds, brief);
    const int room =
        terminal_.width - 3 - static_cast<int>(head.size() + tail.size());  // the bar's ends, a free column
    if (room >= 10) return head + bar(share, std::min(room, 40), terminal_.unicode) + tail;
  }
  return cut(head + per_cent.substr(1) + facts(done, seconds, true), terminal_.width - 1);
}

void Progress::update(int64_t done, const std::string& note) {
  done_ = done;
  if (quiet_) return;
  if (first_ < 0) {  // what was there before the first call took none of the time
    first_ = done;
    start_ = Clock::now();
    return;
  }
  if (since(printed_) < (terminal_.tty ? 0.1 : 10.0)) return;
  printed_ = Clock::now();
  if (!terminal_.tty) {
    const std::string share =
        total_ > 0 ? fmt::format("{:.0f}% ", 100.0 * static_cast<double>(done) / static_cast<double>(total_)) : "";
    print(to_,
          fmt::format("{}{} {}{}\n", label_, note.empty() ? "" : " " + note, share, facts(done, since(start_), false)));
    return;
  }
  const std::string text = line(done, since(start_), note);
  if (!terminal_.colour) {  // no escape sequence either: blanks wipe the rest of the line before
    const auto columns = static_cast<int>(std::ranges::count_if(text, [](char c) { return (c & 0xc0) != 0x80; }));
    print(to_, fmt::format("\r{}{:{}}", text, "", std::max(0, terminal_.width - 1 - columns)));
  } else {
    print(to_, "\r\x1b[K\x1b[36m" + text + "\x1b[0m");
  }
  open_ = true;
}

void Progress::clear() {
  if (!open_) return;
  print(to_, terminal_.colour ? "\r\x1b[K" : fmt::format("\r{:{}}\r", "", std::max(1, terminal_.width - 1)));
  open_ = false;
}

void Progress::finish(const std::string& text) {
  clear();
  if (quiet_) return;
  print(to_,
        (text.empty() ? fmt::format("{}: {} in {}", label_, amount(static_cast<double>(done_)), duration(since(start_)))
                      : text) +
            "\n");
}

ConsoleListener::ConsoleListener(int64_t batch_size, bool quiet)
    : units_per_step_(static_cast<double>(batch_size)), quiet_(quiet), terminal_(Terminal::of(stderr)) {}
ConsoleListener::~ConsoleListener() = default;

void ConsoleListener::on_message(const std::string& text) {
  if (progress_ != nullptr) progress_->clear();
  print(stderr, text + "\n");
}

void ConsoleListener::on_start(const Program& program, int64_t parameters, int64_t steps_per_epoch) {
  if (quiet_) return;
  print(stderr, fmt::format("{} parameters, {} steps an epoch, {} nodes a step\n{}", parameters, steps_per_epoch,
                            program.nodes(), program.memory().str()));
}

void ConsoleListener::on_rate(const std::string& unit, double units_per_step) {
  unit_ = unit;
  units_per_step_ = units_per_step;
}

void ConsoleListener::on_step(int64_t epoch, int64_t step, int64_t steps, double mean_loss) {
  if (quiet_) return;
  if (epoch != epoch_) {
    epoch_ = epoch;
    progress_ = std::make_unique<Progress>(fmt::format("epoch {}", epoch + 1), steps, Progress::Unit::Steps, false,
                                           stderr, terminal_);
  }
  progress_->set_rate_unit(units_per_step_, unit_);
  progress_->update(step, fmt::format("loss {:.5f}", mean_loss));
}

void ConsoleListener::on_epoch(int64_t epoch, double train_loss, const std::vector<NamedMetric>& validation,
                               bool improved, double seconds) {
  if (quiet_) return;
  if (progress_ != nullptr) progress_->clear();
  std::string text = fmt::format("epoch {}: train loss {:.5f}", epoch, train_loss);
  for (const NamedMetric& m : validation) text += fmt::format(", valid {} {:.5f}", m.name, m.value);
  const char *on = improved && terminal_.colour ? "\x1b[32m" : "", *off = *on != 0 ? "\x1b[0m" : "";
  print(stderr, fmt::format("{}{}{}{} ({})\n", on, text, improved ? " *" : "", off, duration(seconds)));
}

void ConsoleListener::on_cache(const CacheCounts& c) {
  if (quiet_) return;
  const double batches = static_cast<double>(std::max<int64_t>(1, c.batches));
  print(stderr, fmt::format("  cache hit rate {:.4f}, {} a step to the device, {} back\n", c.hit_rate(),
                            byte_text(static_cast<double>(c.bytes_in) / batches),
                            byte_text(static_cast<double>(c.bytes_out) / batches)));
}

}  // namespace winnow
