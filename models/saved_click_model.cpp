#include "models/saved_click_model.h"

#include "core/checksum.h"
#include "core/file.h"
#include "models/ctr_batches.h"
#include "nn/saved_parameters.h"

namespace winnow {

SavedClickModel::SavedClickModel(const std::string& directory)
    : map(FeatureMap::load(directory + "/feature_map.json")) {
  const std::string path = directory + "/model.safetensors";
  const SafeTensors file = open_parameters(path);
  Config config = Config::load(directory + "/config.yaml");
  const std::string job = config.root().find<std::string>("job").value_or("ctr");
  WN_CHECK(job == "ctr", ConfigError, "{} holds a run of `winnow train {}`, not a click model", directory, job);
  CtrOptions options = read_ctr_options(config.root().child("model"));
  options.embedding_cache_rows = 0;  // its tables are read where they are
  name = options.name;
  model = make_ctr_model(ctr_spec(map), options);
  model->initialize_for_loading();
  load_parameters(file, model->parameters(), path);
}

std::string run_fingerprint(const std::string& directory) {
  const MappedFile model(directory + "/model.safetensors"), map(directory + "/feature_map.json");
  return fmt::format("{:08x}-{:x}-{:08x}", crc32c(model.data(), model.size()), model.size(),
                     crc32c(map.data(), map.size()));
}

}  // namespace winnow
