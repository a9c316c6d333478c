#include "serve/delta/publisher.h"

#include <chrono>
#include <filesystem>

#include "core/file.h"
#include "nn/row_cache.h"
#include "nn/saved_parameters.h"

namespace winnow {
namespace {

std::vector<Parameter> base_parameters(const std::string& run_directory, const std::vector<Parameter>& like) {
  std::vector<Parameter> parameters = copy_parameters(like);
  const std::string path = run_directory + "/model.safetensors";
  load_parameters(open_parameters(path), parameters, path);
  return parameters;
}

int64_t clock_us() {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace

DeltaPublisher::DeltaPublisher(const std::string& run_directory, const std::vector<Parameter>& parameters,
                               const PublisherOptions& options)
    : run_directory_(run_directory),
      options_(options),
      published_(run_directory, base_parameters(run_directory, parameters)) {
  WN_CHECK(options.snapshot_every >= 1, ConfigError, "a snapshot every {} versions: at least 1",
           options.snapshot_every);
  make_directories(published_.folder().directory());
  published_.go_to(published_.folder().newest());
}

std::optional<Published> DeltaPublisher::publish(const std::vector<Parameter>& parameters, int64_t events,
                                                 bool snapshot) {
  std::vector<Parameter> now = parameters;
  for (Parameter& p : now) {
    if (p.value().device() == Device{}) continue;
    p.variable = std::make_shared<Variable>(*p.variable);
    p.variable->value = p.variable->value.on({});
  }
  Delta delta;
  delta.parts = difference(published_.parameters_, now);
  if (delta.parts.empty() && !snapshot) return std::nullopt;
  DeltaHeader& header = delta.header;
  header.builds_on = published_.id();
  header.id.version = published_.id().version + 1;
  header.snapshot = snapshot || header.id.version % options_.snapshot_every == 0;
  header.events = events;
  header.time_us = clock_us();
  header.base = published_.base();
  if (header.snapshot) {
    delta.parts.clear();
    for (const Parameter& p : now) delta.parts.push_back({p.name(), {}, p.value()});
  }
  header.id.chain = delta_chain(delta);
  const std::string path = published_.folder().path(header.id.version);
  check_delta(delta, published_.parameters_, path);  // before anything is written: not finite, above all
  write_delta(path, delta);
  apply_delta(delta, published_.parameters_, path);
  published_.id_ = header.id;
  published_.events_ = events;
  if (header.snapshot) remove_old(header.id.version);
  std::error_code ignored;
  return Published{header.id.version, events, delta.rows(),
                   static_cast<int64_t>(std::filesystem::file_size(path, ignored)), header.snapshot};
}

void DeltaPublisher::remove_old(int64_t snapshot) const {
  const VersionFolder& folder = published_.folder();
  for (const int64_t version : folder.versions()) {  // ascending: what is left is whole at any time
    if (version >= snapshot - options_.snapshot_every) break;
    std::error_code ignored;  // an old file that stays costs only space
    std::filesystem::remove(folder.path(version), ignored);
  }
}

void DeltaPublisher::read_version(int64_t version, const std::vector<Parameter>& parameters) const {
  ModelVersion other(run_directory_, base_parameters(run_directory_, published_.parameters_));
  other.go_to(version);
  for (size_t i = 0; i < parameters.size(); ++i) parameters[i].value().copy_from(other.parameters()[i].value());
  forget_cached_rows(parameters);
}

}  // namespace winnow
