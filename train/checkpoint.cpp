#include "train/checkpoint.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include "core/file.h"
#include "nn/row_cache.h"

namespace winnow {
namespace fs = std::filesystem;

namespace {

std::vector<NamedTensor> tensors_of(const SafeTensors& file) {
  std::vector<NamedTensor> tensors;
  for (const std::string& name : file.names()) tensors.push_back({name, file.at(name)});
  return tensors;
}

}  // namespace

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

void load_variables(const std::vector<NamedTensor>& tensors, const std::string& prefix,
                    const std::vector<VariablePtr>& variables, const std::string& source) {
  std::map<std::string, const Tensor*> found;
  for (const auto& [name, tensor] : tensors)
    if (name.starts_with(prefix)) found[name.substr(prefix.size())] = &tensor;
  std::vector<std::pair<const Variable*, const Tensor*>> matches;
  std::string missing, different;
  for (const VariablePtr& v : variables) {
    const auto at = found.find(v->name);
    if (at == found.end()) {
      missing += " " + v->name;
      continue;
    }
    if (at->second->spec() != v->value.spec())
      different += fmt::format(" {} ({} in the file, {} in the model)", v->name, at->second->spec().str(),
                               v->value.spec().str());
    matches.emplace_back(v.get(), at->second);
    found.erase(at);
  }
  if (!missing.empty() || !different.empty()) {
    std::string unexpected;
    for (const auto& [name, tensor] : found) unexpected += " " + name;
    raise<IoError>("{}: does not fit the model. Missing:{}. Unexpected:{}. Different:{}. Use the config that wrote it",
                   source, missing.empty() ? " none" : missing, unexpected.empty() ? " none" : unexpected,
                   different.empty() ? " none" : different);
  }
  WN_CHECK(found.empty(), IoError, "{}: holds '{}', which the model does not have; use the config that wrote it",
           source, found.begin()->first);
  for (const auto& [variable, tensor] : matches) variable->value.copy_from(*tensor);
}

std::vector<VariablePtr> variables_of(const std::vector<Parameter>& parameters) {
  std::vector<VariablePtr> list;
  for (const Parameter& p : parameters) list.push_back(p.variable);
  return list;
}

void check_run_directory(const std::string& directory, bool resume) {
  WN_CHECK(resume || !directory_exists(directory + "/checkpoints"), ConfigError,
           "{} holds checkpoints of an earlier run; go on with --resume, or give another --out", directory);
}

void save_parameters(const std::string& path, const std::vector<Parameter>& parameters, const std::string& model) {
  std::vector<NamedTensor> tensors;
  for (const Parameter& p : parameters) tensors.push_back({p.name(), p.value()});
  save_safetensors(path, tensors, {{"model", model}});
}

SafeTensors open_parameters(const std::string& path) {
  SafeTensors file = SafeTensors::open(path);
  file.verify();
  return file;
}

void load_parameters(const SafeTensors& file, const std::vector<Parameter>& parameters, const std::string& path) {
  load_variables(tensors_of(file), "", variables_of(parameters), path);
  forget_cached_rows(parameters);
}

}  // namespace winnow
