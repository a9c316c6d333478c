// A click run: the config, the data it names, the model it asks for, and the directory where all of it is kept.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/config.h"
#include "data/dataset.h"
#include "models/ctr.h"
#include "train/candidates.h"
#include "train/evaluate.h"
#include "train/options.h"

namespace winnow {

// A config with the options that every command shares applied on top.
struct CommonOptions {
  std::string config;             // a file, or a run directory's config.yaml
  std::vector<std::string> sets;  // a.b=c, in order
};

struct CtrConfig {
  explicit CtrConfig(const CommonOptions& options);  // ConfigError; every key is read
  Schema schema;
  CtrOptions model;
  LoopOptions loop;
  EvaluationOptions evaluation;
  std::string resolved;  // YAML with all defaults
};

// Rows of a batch that is only scored: 4096; of a model with embedding_cache_rows no more than of one in training,
// which these were chosen for.
int64_t inference_batch(const CtrConfig& config);

// <run>/config.yaml, feature_map.json, catalogue.safetensors, model.safetensors.
void save_run(const std::string& directory, const CtrConfig& config, const Dataset& dataset, const CtrModel& model);

struct OpenedRun {
  explicit OpenedRun(const std::string& directory, const std::vector<std::string>& sets = {});
  CtrConfig config;
  Dataset dataset;
  std::unique_ptr<CtrModel> model;
};

// What a run was trained for: the key `job` of its config.yaml, ctr where there is none. IoError, ConfigError.
std::string job_of_run(const std::string& directory);

struct Recommendation {
  std::string item, title;
  double score = 0;  // probability of a click
};
// The user with the most positives both before and in the test split: one whose recommendations can be judged.
std::string example_user(const Dataset& dataset);

struct RecommendReport {
  std::string user;
  std::vector<Recommendation> items;
  std::vector<Recommendation> liked_next;  // the user's positives of the test split, with the model's scores
  int64_t history = 0;                     // rows of the user that were left out of the ranking
  std::string str() const;
  std::string json() const;
};
// user "": the one of example_user(). DataError: an unknown user, with an example of a known one.
RecommendReport recommend(const OpenedRun& run, const std::string& user, int64_t k);

}  // namespace winnow
