#include "train/report/run_files.h"

#include <filesystem>

#include "core/error.h"
#include "core/file.h"

namespace winnow {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxBytes = size_t{64} << 20;

std::optional<std::string> read(const std::string& directory, const std::string& name, const std::string& what,
                                std::vector<std::string>& notes) {
  if (!file_exists(directory + "/" + name)) {
    notes.push_back(fmt::format("{} is not there: {}", name, what));
    return std::nullopt;
  }
  try {
    return read_text(directory + "/" + name, kMaxBytes);
  } catch (const IoError&) {
    notes.push_back(fmt::format("{} could not be read: {}", name, what));
    return std::nullopt;
  }
}

std::optional<Json> read_object(const std::string& directory, const std::string& name, const std::string& what,
                                std::vector<std::string>& notes) {
  const auto text = read(directory, name, what, notes);
  if (!text) return std::nullopt;
  Json json = Json::parse(*text, nullptr, false);
  if (json.is_object()) return json;
  notes.push_back(fmt::format("{} is not a JSON object: {}", name, what));
  return std::nullopt;
}

std::vector<Json> read_lines(const std::string& text, std::vector<std::string>& notes) {
  std::vector<Json> lines;
  int64_t broken = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    Json line = Json::parse(text.begin() + static_cast<int64_t>(begin), text.begin() + static_cast<int64_t>(end),
                            nullptr, false);
    if (line.is_object())
      lines.push_back(std::move(line));
    else if (end > begin)
      ++broken;
    begin = end + 1;
  }
  if (broken > 0)
    notes.push_back(fmt::format("metrics.jsonl: {} lines are not JSON objects and were left out", broken));
  return lines;
}

}  // namespace

RunFiles read_run_files(const std::string& directory) {
  WN_CHECK(directory_exists(directory), IoError, "{}: there is no such run directory", directory);
  RunFiles files;
  files.name = std::filesystem::absolute(directory + "/.").lexically_normal().parent_path().filename().string();
  auto& notes = files.notes;
  files.config = read(directory, "config.yaml", "the settings are not shown", notes).value_or("");
  if (const auto text = read(directory, "metrics.jsonl", "the course of training is not shown", notes))
    files.metrics = read_lines(*text, notes);
  files.evaluation = read_object(directory, "evaluation.json", "no metrics, curves or importance are shown", notes);
  files.data = read_object(directory, "data_report.json", "what was read and cleaned is not shown", notes);
  files.memory = read_object(directory, "memory.json", "the memory plan is not shown", notes);
  files.run = read_object(directory, "run.json", "version and machine are not shown", notes);
  WN_CHECK(!files.config.empty() || !files.metrics.empty() || files.evaluation, IoError,
           "{}: none of config.yaml, metrics.jsonl and evaluation.json is there; is it the --out of a training?",
           directory);
  return files;
}

}  // namespace winnow
