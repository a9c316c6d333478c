#include <glob.h>
#include <sys/stat.h>

#include <filesystem>

#include "core/error.h"
#include "data/detail/disk_load.h"

namespace winnow::detail {
namespace {

bool add_file(const std::string& path, std::string& text) {
  struct stat info;
  if (::stat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return false;
  text += fmt::format("{} {} {}.{:09}\n", path, info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
  return true;
}

// The files of a source: a file, those of a directory, or those that fit a pattern.
bool add_source(const SourceSpec& source, std::string& text) {
  if (!source.connection.empty() || !source.query.empty() || !source.table.empty()) return false;
  struct stat info;
  const bool exists = ::stat(source.path.c_str(), &info) == 0;
  std::vector<std::string> paths;
  if (exists && S_ISDIR(info.st_mode)) {
    for (const auto& entry : std::filesystem::directory_iterator(source.path))
      if (entry.is_regular_file()) paths.push_back(entry.path().string());
  } else if (exists) {
    paths.push_back(source.path);
  } else {
    glob_t found{};
    if (::glob(source.path.c_str(), 0, nullptr, &found) == 0)
      paths.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
    ::globfree(&found);
  }
  std::ranges::sort(paths);
  return !paths.empty() && std::ranges::all_of(paths, [&](const std::string& path) { return add_file(path, text); });
}

bool depends_on_the_moment(const CleanStep& step) {
  const auto* impossible = std::get_if<DropImpossible>(&step);
  return impossible != nullptr && impossible->latest_now;
}

}  // namespace

std::optional<std::string> fingerprint_of(const Schema& schema) {
  if (schema.text.empty() || std::ranges::any_of(schema.clean.steps, depends_on_the_moment)) return {};
  for (const FeatureSpec& f : schema.features)
    if (f.type == FeatureType::Image) return {};
  std::string text = schema.text;
  for (const TableSpec* table : {&schema.interactions, &schema.users, &schema.items})
    if (table->source.given() && !add_source(table->source, text)) return {};
  return text;
}

}  // namespace winnow::detail
