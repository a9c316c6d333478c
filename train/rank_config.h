// The config of `winnow train rank`. Keys: docs/rank.md.
#pragma once
#include <string>
#include <vector>

#include "data/ranking_data.h"
#include "data/term_match.h"
#include "models/cross_encoder.h"
#include "ops/group_losses.h"
#include "train/options.h"
#include "train/ranking_graded.h"
#include "train/run.h"

namespace winnow {

struct RankLoss {
  enum class Kind : uint8_t { Mse, Ordinal, RankNet, LambdaRank, ListNet } kind = Kind::LambdaRank;
  double sigma = 1;  // ranknet
  LambdaRankOptions lambdarank;
};

struct RankEvaluation {
  std::vector<int64_t> ks = {1, 5, 10};
  Gain gain = Gain::Exponential;
  int resamples = 1000;
  uint64_t seed = 1;
  Bm25Options bm25;  // of the baseline of texts
};

struct RankConfig {
  explicit RankConfig(const CommonOptions& options);  // ConfigError; every key is read
  bool texts() const { return model_name == "cross_encoder"; }
  std::string model_name;
  FeatureRankerOptions features;      // of mlp and linear
  CrossEncoderOptions cross_encoder;  // of cross_encoder
  RankingSchema schema;
  RankLoss loss;
  LoopOptions loop;
  RankEvaluation evaluation;
  std::string resolved;  // YAML with all defaults
};

}  // namespace winnow
