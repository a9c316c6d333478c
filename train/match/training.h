// What `winnow train match` does, for programs: data, model, training, evaluation, the files of the run.
#pragma once
#include <atomic>
#include <memory>
#include <string>

#include "train/match/config.h"
#include "train/match/evaluate.h"
#include "train/match/task.h"

namespace winnow {

struct MatchTrainingOptions {
  std::string out;      // the run directory, made where it is absent
  bool resume = false;  // go on from its newest checkpoint
  bool test = true;     // false: evaluated on the validation split; the test split is never scored
};

class MatchTraining {
 public:
  // Loads the data and the encoders. ConfigError: `out` holds checkpoints and resume is false; DataError.
  MatchTraining(const MatchConfig& config, MatchTrainingOptions options);
  const MatchData& data() const { return data_; }
  DualEncoder& model() { return *model_; }

  // Writes config.yaml, metrics.jsonl, checkpoints and the files of train/report/recorder.h, at the end encoder/ (of
  // two towers also item_encoder/) and model.safetensors, the parameters outside them. The best epoch's parameters are
  // in the model then.
  TrainResult train(TrainListener& listener, const std::atomic<bool>& stop);
  MatchReport evaluate();  // writes evaluation.json and report.html

 private:
  MatchConfig config_;
  MatchTrainingOptions options_;
  MatchData data_;
  std::unique_ptr<DualEncoder> model_;
};

// The encoder of a finished run, or of a directory in the Hugging Face or sentence-transformers layout.
class OpenedMatcher {
 public:
  // IoError, DataError: a directory that is neither, a file that is absent or broken.
  explicit OpenedMatcher(const std::string& directory);
  const DualEncoder& model() const { return *model_; }
  // A hash of all that decides about vectors of items: weights, tokenizer, configs.
  uint64_t item_fingerprint() const { return item_fingerprint_; }

 private:
  std::unique_ptr<DualEncoder> model_;
  uint64_t item_fingerprint_ = 0;
};

// The metrics of a finished run again, on the data that its config names.
MatchReport evaluate_match_run(const std::string& directory, const std::vector<std::string>& sets, Split split);

}  // namespace winnow
