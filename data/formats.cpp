// The names of the formats and what the name of a source tells.
#include <algorithm>
#include <array>
#include <filesystem>

#include "core/error.h"
#include "core/file.h"
#include "core/text.h"
#include "data/rows.h"

namespace winnow {
namespace {

struct Ending {
  const char *ending, *format;
};
constexpr std::array<Ending, 17> kEndings = {{{".csv", "csv"},
                                              {".tsv", "tsv"},
                                              {".tab", "tsv"},
                                              {".jsonl", "jsonl"},
                                              {".ndjson", "jsonl"},
                                              {".libsvm", "libsvm"},
                                              {".svm", "libsvm"},
                                              {".libffm", "libffm"},
                                              {".ffm", "libffm"},
                                              {".inter", "recbole"},
                                              {".user", "recbole"},
                                              {".item", "recbole"},
                                              {".criteo", "criteo"},
                                              {".sqlite", "sqlite"},
                                              {".sqlite3", "sqlite"},
                                              {".db", "sqlite"},
                                              {".parquet", "parquet"}}};

std::string first_file(const std::string& directory) {
  std::string first;
  std::error_code ignored;  // an unreadable directory is reported when it is opened
  for (const auto& entry : std::filesystem::directory_iterator(directory, ignored)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with('.') && entry.is_regular_file(ignored) && (first.empty() || name < first)) first = name;
  }
  return first;
}

}  // namespace

const std::vector<std::string>& source_formats() {
  static const std::vector<std::string> all = {"csv",    "tsv",   "jsonl",  "libsvm",     "libffm", "recbole",
                                               "criteo", "lines", "sqlite", "postgresql", "parquet"};
  return all;
}

CsvOptions format_options(std::string_view format) {
  if (format == "csv") return {};
  if (format == "tsv") return {.separator = '\t'};
  if (format == "recbole") return {.separator = '\t', .quoting = false, .strip_types = true};
  if (format == "criteo") return {.separator = '\t', .quoting = false};
  raise<ConfigError>("{} is not a format of separated text (those are csv, tsv, recbole, criteo)", quoted(format));
}

std::string format_of(const std::string& path) {
  std::string_view name = path;
  const std::string inside = directory_exists(path) ? first_file(path) : "";
  if (!inside.empty()) name = inside;
  for (const std::string_view packed : {".gz", ".zst"})
    if (name.ends_with(packed)) name.remove_suffix(packed.size());
  const auto at = std::ranges::find_if(kEndings, [&](const Ending& e) { return name.ends_with(e.ending); });
  return at == kEndings.end() ? "csv" : at->format;
}

}  // namespace winnow
