// What commands write for people: control characters only on a terminal, colours only where they are wanted.
#include "train/console.h"

#include <gtest/gtest.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <thread>
#include <utility>

namespace winnow {
namespace {

// The environment that decides about colours and characters, put back afterwards.
class Environment {
 public:
  Environment() {
    for (const char* name : {"NO_COLOR", "TERM", "LC_ALL", "LC_CTYPE", "LANG"}) {
      const char* value = std::getenv(name);
      saved_.emplace_back(name, value == nullptr ? std::nullopt : std::optional<std::string>(value));
      unsetenv(name);
    }
    setenv("TERM", "xterm", 1);
  }
  ~Environment() {
    for (const auto& [name, value] : saved_) value ? setenv(name, value->c_str(), 1) : unsetenv(name);
  }

 private:
  std::vector<std::pair<const char*, std::optional<std::string>>> saved_;
};

// A pseudo terminal of some width, and what was written to it.
class PseudoTerminal {
 public:
  explicit PseudoTerminal(unsigned short columns) {
    winsize size{.ws_row = 24, .ws_col = columns, .ws_xpixel = 0, .ws_ypixel = 0};
    int slave = -1;
    if (openpty(&master_, &slave, nullptr, nullptr, &size) != 0) throw std::runtime_error("openpty failed");
    file = fdopen(slave, "w");
  }
  ~PseudoTerminal() {
    if (file != nullptr) std::fclose(file);
    close(master_);
  }
  // All that was written; the terminal is closed by it. One read would give what the kernel has passed on so far.
  std::string text() {
    std::fclose(std::exchange(file, nullptr));
    std::string text;
    char buffer[4096];
    for (ssize_t n; (n = read(master_, buffer, sizeof buffer)) > 0;) text.append(buffer, static_cast<size_t>(n));
    return text;
  }
  std::FILE* file = nullptr;

 private:
  int master_ = -1;
};

// Two updates far enough apart for one line on a terminal.
void show(std::FILE* to, const Terminal& terminal) {
  Progress progress("reading", 1000, Progress::Unit::Rows, false, to, terminal);
  progress.update(100);
  std::this_thread::sleep_for(std::chrono::milliseconds(120));
  progress.update(500);
  progress.finish();
}

TEST(Console, ATerminalIsRecognisedWithItsWidthAndItsWishes) {
  const Environment environment;
  PseudoTerminal pty(61);
  EXPECT_TRUE(Terminal::of(pty.file).tty);
  EXPECT_TRUE(Terminal::of(pty.file).colour);
  EXPECT_FALSE(Terminal::of(pty.file).unicode);
  EXPECT_EQ(Terminal::of(pty.file).width, 61);
  setenv("NO_COLOR", "1", 1);
  EXPECT_FALSE(Terminal::of(pty.file).colour);
  setenv("NO_COLOR", "", 1);
  EXPECT_TRUE(Terminal::of(pty.file).colour) << "an empty NO_COLOR is none";
  setenv("TERM", "dumb", 1);
  EXPECT_FALSE(Terminal::of(pty.file).colour);
  setenv("LANG", "de_DE.UTF-8", 1);
  EXPECT_TRUE(Terminal::of(pty.file).unicode);
  setenv("LC_ALL", "C", 1);
  EXPECT_FALSE(Terminal::of(pty.file).unicode) << "LC_ALL goes before LANG";
}

TEST(Console, AFileGetsPlainLines) {
  const Environment environment;
  std::FILE* file = std::tmpfile();
  const Terminal terminal = Terminal::of(file);
  EXPECT_FALSE(terminal.tty);
  EXPECT_FALSE(terminal.colour);
  show(file, terminal);
  std::rewind(file);
  std::string text(4096, 0);
  text.resize(std::fread(text.data(), 1, text.size(), file));
  std::fclose(file);
  EXPECT_NE(text.find("reading: 500 rows in "), std::string::npos) << text;
  for (const char c : text) EXPECT_TRUE(c == '\n' || static_cast<unsigned char>(c) >= 0x20) << static_cast<int>(c);
}

TEST(Console, ATerminalGetsABarThatIsTakenAwayAgain) {
  const Environment environment;
  PseudoTerminal pty(100);
  show(pty.file, Terminal::of(pty.file));
  const std::string text = pty.text();
  EXPECT_NE(text.find("\x1b[36mreading [####"), std::string::npos) << text;
  EXPECT_NE(text.find(" 50% 500 rows"), std::string::npos) << text;
  EXPECT_NE(text.find("\r\x1b[Kreading: 500 rows in "), std::string::npos) << text;
}

TEST(Console, NoColorMeansNoEscapeSequence) {
  const Environment environment;
  setenv("NO_COLOR", "1", 1);
  PseudoTerminal pty(100);
  show(pty.file, Terminal::of(pty.file));
  const std::string text = pty.text();
  EXPECT_NE(text.find("\rreading ["), std::string::npos) << text;
  EXPECT_EQ(text.find('\x1b'), std::string::npos) << text;
}

TEST(Console, ALineFitsItsTerminal) {
  for (const bool unicode : {false, true})
    for (int width = 20; width < 200; ++width) {
      const Progress progress("epoch 12", 123456, Progress::Unit::Steps, false, stderr, {true, false, unicode, width});
      const std::string line = progress.line(61728, 17, "loss 0.12345");
      const auto columns = std::ranges::count_if(line, [](char c) { return (c & 0xc0) != 0x80; });
      EXPECT_LT(columns, width) << line;
      EXPECT_EQ(line.find('\x1b'), std::string::npos);
      EXPECT_TRUE(unicode ||
                  line.find_first_not_of("[]#. ,/:%abcdefghijklmnopqrstuvwxyzGM0123456789") == std::string::npos)
          << line;
    }
}

TEST(Console, QuietWritesNothing) {
  const Environment environment;
  PseudoTerminal pty(100);
  {
    Progress progress("reading", 10, Progress::Unit::Rows, true, pty.file, Terminal::of(pty.file));
    progress.update(1);
    std::this_thread::sleep_for(std::chrono::milliseconds(120));
    progress.update(9);
    progress.finish();
  }
  std::fputs("end", pty.file);
  EXPECT_EQ(pty.text(), "end");
}

}  // namespace
}  // namespace winnow
