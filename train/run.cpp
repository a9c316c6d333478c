#include "train/run.h"

#include <algorithm>

#include "core/file.h"
#include "core/safetensors.h"
#include "core/text.h"
#include "data/catalogue.h"
#include "train/checkpoint.h"

namespace winnow {
namespace {

Config load_config(const CommonOptions& options) {
  Config config = Config::load(options.config);
  for (const std::string& set : options.sets) config.apply_override(set);
  return config;
}

}  // namespace

CtrConfig::CtrConfig(const CommonOptions& options) {
  Config config = load_config(options);
  const ConfigNode root = config.root();
  schema = parse_schema(root.child("data"));
  model = read_ctr_options(root.child("model"));
  loop = read_train_options(root.child("train"));
  evaluation = read_evaluation_options(root.child("evaluation"), schema);
  config.finish();
  resolved = config.emit();
}

int64_t inference_batch(const CtrConfig& config) {
  constexpr int64_t kRows = 4096;
  return config.model.embedding_cache_rows > 0 ? std::min(kRows, config.loop.batch_size) : kRows;
}

void save_run(const std::string& directory, const CtrConfig& config, const Dataset& dataset, const CtrModel& model) {
  make_directories(directory);
  dataset.map.save(directory + "/feature_map.json");
  write_atomically(directory + "/config.yaml", config.resolved);
  write_catalogue(directory + "/catalogue.safetensors", dataset);
  save_parameters(directory + "/model.safetensors", model.parameters(), config.model.name);
}

std::string job_of_run(const std::string& directory) {
  return Config::load(directory + "/config.yaml").root().find<std::string>("job").value_or("ctr");
}

OpenedRun::OpenedRun(const std::string& directory, const std::vector<std::string>& sets)
    : config(CommonOptions{directory + "/config.yaml", sets}) {
  const std::string path = directory + "/model.safetensors";
  const SafeTensors file = open_parameters(path);
  dataset = load_dataset(config.schema, directory);
  WN_CHECK(dataset.map.json() == FeatureMap::load(directory + "/feature_map.json").json(), DataError,
           "{}: the data files give other vocabularies than those the model was trained with; restore the files, or "
           "train again",
           directory);
  if (default_device().kind == Device::CPU) config.model.embedding_cache_rows = 0;  // its tables are where they are
  model = make_ctr_model(ctr_spec(dataset.map), config.model);
  model->initialize(config.loop.train.seed);
  load_parameters(file, model->parameters(), path);
}

}  // namespace winnow
