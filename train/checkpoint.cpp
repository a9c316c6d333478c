#include "train/checkpoint.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include "core/file.h"

namespace winnow {
namespace fs = std::filesystem;

namespace {}  // namespace

CheckpointDirectory::CheckpointDirectory(std::string run_directory, int keep)
    : directory_(run_directory + "/checkpoints"), keep_(keep) {}

std::vector<std::string> CheckpointDirectory::files() const {
  std::vector<std::string> list;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory_, error)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("step-") && name.ends_with(".safetensors")) list.push_back(entry.path().string());
  }
  std::sort(list.begin(), list.end());  // the step is zero padded
  return list;
}

void CheckpointDirectory::save(const Checkpoint& checkpoint) {
  make_directories(directory_);
  save_safetensors(fmt::format("{}/step-{:09}.safetensors", directory_, checkpoint.step), checkpoint.tensors,
                   {{"trainer_state", checkpoint.trainer_state}, {"step", std::to_string(checkpoint.step)}});
  const auto all = files();
  for (size_t i = 0; i + static_cast<size_t>(keep_) < all.size(); ++i) {
    std::error_code ignored;  // an old file that stays costs only space
    fs::remove(all[i], ignored);
  }
}

std::optional<Checkpoint> CheckpointDirectory::load(const std::function<void(const std::string&)>& report) const {
  auto all = files();
  std::reverse(all.begin(), all.end());
  for (const std::string& path : all) {
    try {
      const SafeTensors file = SafeTensors::open(path);
      file.verify();
      Checkpoint checkpoint;
      checkpoint.trainer_state = file.metadata().at("trainer_state");
      checkpoint.step = std::stoll(file.metadata().at("step"));
      checkpoint.tensors = tensors_of(file);
      return checkpoint;
    } catch (const Error& e) {
      report(fmt::format("{}; trying the one before", e.what()));
    } catch (const std::logic_error&) {  // map::at, stoll
      report(fmt::format("{}: is not a checkpoint of a trainer; trying the one before", path));
    }
  }
  WN_CHECK(all.empty(), IoError, "{}: none of {} checkpoints is whole; start again without --resume", directory_,
           all.size());
  return std::nullopt;
}

void check_run_directory(const std::string& directory, bool resume) {
  WN_CHECK(resume || !directory_exists(directory + "/checkpoints"), ConfigError,
           "{} holds checkpoints of an earlier run; go on with --resume, or give another --out", directory);
}

}  // namespace winnow
