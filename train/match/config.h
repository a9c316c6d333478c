// The config of `winnow train match`. Keys: docs/match.md.
#pragma once
#include <string>
#include <vector>

#include "data/match_batches.h"
#include "models/dual_encoder.h"
#include "nn/similarity_losses.h"
#include "train/match/mining.h"
#include "train/options.h"
#include "train/run.h"

namespace winnow {

struct MatchEvaluationOptions {
  std::vector<int64_t> ks = {1, 10};
  bool remove_known = false;     // items that the query's owner liked in training are neither ranked nor looked for
  int64_t valid_queries = 2000;  // at most so many for the metrics of each epoch; 0: all
  bool zero_shot = true;         // the published encoder as it is, beside the trained one
  int resamples = 1000;
  uint64_t seed = 1;
};

struct MatchConfig {
  explicit MatchConfig(const CommonOptions& options);  // ConfigError; every key is read
  MatchSpec data;
  DualEncoderOptions model;
  SimilarityLossOptions loss;
  bool log_q = false;        // softmax
  int64_t other_items = -1;  // cosent; -1: 1, or 0 where the strengths of the data differ
  MiningOptions mining;
  LoopOptions loop;
  MatchEvaluationOptions evaluation;
  std::string resolved;  // YAML with all defaults
};

}  // namespace winnow
