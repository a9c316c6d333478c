// `winnow train click-text`: clicks from what users took before and what items are called, alone (text.fuse false) or
// beside the ids and the context of `winnow train ctr`, on the same rows: runs of both can be compared row by row.
#pragma once
#include <atomic>
#include <memory>
#include <string>

#include "train/click_text_task.h"
#include "train/evaluate.h"
#include "train/run.h"

namespace winnow {

struct ClickTextConfig {
  // encoder: a directory that stands for the encoder of the config, that of a finished run; "": none. ConfigError.
  explicit ClickTextConfig(const CommonOptions& options, const std::string& encoder = "");
  Schema schema;
  ClickTextOptions model;
  HistoryOptions history;
  std::vector<std::string> item_features, user_features;  // whose values are part of the texts
  LoopOptions loop;
  EvaluationOptions evaluation;  // without ranking, importance and baselines
  std::string resolved;          // YAML with all defaults
};

struct ClickTextTrainingOptions {
  std::string out;
  bool resume = false;
  bool test = true;  // false: evaluated on the validation split
};

class ClickTextTraining {
 public:
  ClickTextTraining(ClickTextConfig config, ClickTextTrainingOptions options);
  ~ClickTextTraining();
  const Dataset& dataset() const { return dataset_; }
  int64_t batch_size() const { return config_.loop.batch_size; }
  // The files of `winnow train ctr`, and encoder/; model.safetensors holds what is not the encoder.
  TrainResult train(TrainListener& listener, const std::atomic<bool>& stop);
  EvaluationReport evaluate();

 private:
  ClickTextConfig config_;
  ClickTextTrainingOptions options_;
  Dataset dataset_;
  std::unique_ptr<ClickTextModel> model_;
};

// Metrics with intervals, curves, slices and trivial baselines of a finished run, as evaluate_run() of
// train/evaluate.h; the ranking of the catalogue is not part of it.
EvaluationReport evaluate_click_text(const std::string& run, const std::vector<std::string>& sets, Split split);

}  // namespace winnow
