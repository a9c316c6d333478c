// What `winnow train rank` does, for programs: data, model, training, evaluation, the files of the run.
#pragma once
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "train/rank_config.h"
#include "train/rank_evaluate.h"
#include "train/trainer.h"

namespace winnow {

struct RankTrainingOptions {
  std::string out;      // the run directory, made where it is absent
  bool resume = false;  // go on from its newest checkpoint
  bool test = true;     // false: evaluated on the validation split; the test split is never scored
};

class RankTraining {
 public:
  // Loads the data and makes the model. ConfigError: `out` holds checkpoints and resume is false; DataError.
  RankTraining(const RankConfig& config, RankTrainingOptions options);
  const RankingData& data() const { return data_; }

  // Trains and writes config.yaml, metrics.jsonl, checkpoints and the files of train/report/recorder.h, at the end
  // model.safetensors and feature_map.json, or, of a cross-encoder, encoder/ (models/text_encoder.h). The best epoch's
  // parameters are in the model then. Errors of Trainer::run.
  TrainResult train(TrainListener& listener, const std::atomic<bool>& stop);
  RankReport evaluate();  // writes evaluation.json and report.html

 private:
  RankConfig config_;
  RankTrainingOptions options_;
  RankingData data_;
  std::unique_ptr<RankModel> model_;
};

// A finished run: its config, scaling and model. IoError, DataError: a file that is absent, damaged or of another
// model.
class OpenedRankRun {
 public:
  explicit OpenedRankRun(const std::string& directory, const std::vector<std::string>& sets = {});
  const RankConfig& config() const { return config_; }
  // The metrics of the run on the data that its config names.
  RankReport evaluate(Split split) const;

  // Scores of a table's rows, in the order of the file. source: as the test table of the config where that has none.
  struct Scored {
    std::vector<std::string> queries;  // [rows] keys
    std::vector<int64_t> ranks;        // [rows] within the query, from 1; equal scores rank by row
    std::vector<float> scores;         // [rows]
  };
  Scored score(const RankingSource& source) const;

 private:
  RankConfig config_;
  FeatureMap map_;
  std::unique_ptr<RankModel> model_;
};

}  // namespace winnow
