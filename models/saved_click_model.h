// A trained click model as its run directory keeps it: config.yaml (the section `model`), feature_map.json and
// model.safetensors. What it was trained on is not needed.
#pragma once
#include <memory>
#include <string>

#include "data/feature_map.h"
#include "models/ctr.h"

namespace winnow {

struct SavedClickModel {
  explicit SavedClickModel(const std::string& directory);  // IoError, ConfigError, DataError
  FeatureMap map;
  std::string name;  // of the model: "DeepFM"
  std::unique_ptr<CtrModel> model;
};

// Tells one training from another: checksums of model.safetensors and feature_map.json. What was learnt on top of a run
// (serve/delta, train/update) belongs to the run of this fingerprint alone. IoError.
std::string run_fingerprint(const std::string& directory);

}  // namespace winnow
