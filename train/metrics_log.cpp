#include "train/metrics_log.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/file.h"

namespace winnow {
namespace {

constexpr size_t kMaxLog = size_t{64} << 20;
constexpr std::chrono::seconds kBehind{5};

}  // namespace

void MetricsLog::add(std::string line) {
  lines_.push_back(std::move(line));
  if (std::chrono::steady_clock::now() - written_ > kBehind) write();
}

void MetricsLog::write() {
  std::string text;
  for (const std::string& line : lines_) text += line + "\n";
  write_atomically(path_, text);
  written_ = std::chrono::steady_clock::now();
}

void MetricsLog::restore(int64_t lines, int64_t step) {
  lines_.clear();
  if (!file_exists(path_)) return;
  const std::string text = read_text(path_, kMaxLog);
  for (size_t begin = 0; begin < text.size();) {
    if (lines >= 0 && static_cast<int64_t>(lines_.size()) == lines) return;
    const size_t end = std::min(text.find('\n', begin), text.size());
    std::string line = text.substr(begin, end - begin);
    begin = end + 1;
    const auto parsed = nlohmann::json::parse(line, nullptr, false);
    if (!parsed.is_object()) continue;
    const auto at = parsed.find("step");
    if (lines < 0 && (at == parsed.end() || !at->is_number_integer() || at->get<int64_t>() > step)) continue;
    lines_.push_back(std::move(line));
  }
}

}  // namespace winnow
