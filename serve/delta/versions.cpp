#include "serve/delta/versions.h"

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "core/file.h"
#include "models/saved_click_model.h"
#include "nn/saved_parameters.h"

namespace winnow {
namespace fs = std::filesystem;

std::string VersionFolder::path(int64_t version) const {
  return fmt::format("{}/{:06}.safetensors", directory_, version);
}

std::vector<int64_t> VersionFolder::versions() const {
  std::vector<int64_t> list;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory_, error)) {
    const std::string name = entry.path().filename().string();
    if (!name.ends_with(".safetensors")) continue;
    int64_t version = 0;
    const char* end = name.data() + name.size() - std::string_view(".safetensors").size();
    const auto [stop, failed] = std::from_chars(name.data(), end, version);
    if (failed == std::errc() && stop == end && version > 0 && path(version) == entry.path().string())
      list.push_back(version);
  }
  std::ranges::sort(list);
  return list;
}

int64_t VersionFolder::newest() const {
  const auto list = versions();
  return list.empty() ? 0 : list.back();
}

VersionFolder::Way VersionFolder::way(const VersionId& from, int64_t to, const std::string& base) const {
  Way way;
  if (to == from.version) return way;
  way.from_run = true;
  for (int64_t version = to; version > 0; --version) {
    if (version == from.version) {
      way.from_run = false;
      break;
    }
    WN_CHECK(file_exists(path(version)), IoError,
             "{}: version {} is not there, which version {} needs; there are [{}]. Wait for the next snapshot, or let "
             "`winnow update --restart` publish one",
             directory_, version, to, fmt::join(versions(), ", "));
    way.deltas.push_back(read_delta(path(version)));
    const DeltaHeader& header = way.deltas.back().header;
    WN_CHECK(header.base == base, IoError,
             "{}: builds on run {}, this one is {}: the run was trained anew since. Start the updates anew with "
             "`winnow update --restart`",
             path(version), header.base, base);
    WN_CHECK(header.id.version == version, IoError, "{}: holds version {}", path(version), header.id.version);
    if (header.snapshot) break;
  }
  std::ranges::reverse(way.deltas);
  for (size_t i = 0; i < way.deltas.size(); ++i) {
    const DeltaHeader& header = way.deltas[i].header;
    if (header.snapshot) continue;
    const VersionId before = i > 0 ? way.deltas[i - 1].header.id : way.from_run ? VersionId{} : from;
    WN_CHECK(header.builds_on == before, IoError,
             "{}: builds on version {} of chain '{}', not on {} of chain '{}'; load the run anew, or go to a snapshot",
             path(header.id.version), header.builds_on.version, header.builds_on.chain, before.version, before.chain);
  }
  return way;
}

ModelVersion::ModelVersion(std::string run_directory, std::vector<Parameter> parameters)
    : run_directory_(std::move(run_directory)),
      base_(run_fingerprint(run_directory_)),
      parameters_(std::move(parameters)),
      folder_(run_directory_) {}

void ModelVersion::load_again() {
  std::string base = run_fingerprint(run_directory_);
  const std::string path = run_directory_ + "/model.safetensors";
  load_parameters(open_parameters(path), parameters_, path);
  base_ = std::move(base), id_ = {}, events_ = 0;
}

void ModelVersion::go_to(int64_t version) {
  if (version == id_.version) return;
  const VersionFolder::Way way = folder_.way(id_, version, base_);
  for (const Delta& delta : way.deltas) check_delta(delta, parameters_, folder_.path(delta.header.id.version));
  const bool snapshot = !way.deltas.empty() && way.deltas[0].header.snapshot;
  if (way.from_run && !snapshot) {
    const std::string path = run_directory_ + "/model.safetensors";
    WN_CHECK(run_fingerprint(run_directory_) == base_, IoError, "{}: was trained anew; load it again", run_directory_);
    load_parameters(open_parameters(path), parameters_, path);
  }
  for (const Delta& delta : way.deltas) apply_delta(delta, parameters_, folder_.path(delta.header.id.version));
  id_ = way.deltas.empty() ? VersionId{} : way.deltas.back().header.id;
  events_ = way.deltas.empty() ? 0 : way.deltas.back().header.events;
}

}  // namespace winnow
