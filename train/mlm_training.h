// What `winnow train mlm` does, for programs: a corpus, a tokenizer, masked language modelling, the files of the run.
//
//   const MlmConfig config({.config = "mlm.yaml"}, "runs/mlm");
//   MlmTraining training(config, {.out = "runs/mlm"});
//   if (training.train(listener, stop).interrupted) return;   // saved; go on with .resume = true
//   const MlmReport report = training.evaluate();
#pragma once
#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "data/corpus.h"
#include "models/masked_lm.h"
#include "tokenizer/sentencepiece.h"
#include "train/mlm_task.h"
#include "train/options.h"
#include "train/run.h"

namespace winnow {

struct MlmConfig {
  // out: the run directory, where `tokenizer.train` puts its tokenizer. ConfigError; every key is read.
  MlmConfig(const CommonOptions& options, const std::string& out);
  CorpusOptions corpus;
  std::optional<SentencePieceTraining> tokenizer;  // to be trained first; inputs are the corpus
  TextEncoderOptions encoder;
  MaskingOptions masking;
  LoopOptions loop;
  TokenBatchOptions batches;
  std::string resolved;  // YAML with all defaults
};

struct MlmReport {
  std::optional<MlmScore> score;  // of the validation rows, if there are any
  int64_t rows = 0;               // these
  std::string str() const;
  std::string json() const;
};

struct MlmTrainingOptions {
  std::string out;      // the run directory, made where it is absent
  bool resume = false;  // go on from its newest checkpoint
};

class MlmTraining {
 public:
  // Trains the tokenizer (a resumed run keeps the one it has), reads and encodes the corpus, makes the model.
  // ConfigError: `out` holds checkpoints and resume is false. Errors of the corpus and of TextEncoder.
  // message: what takes a while, as it begins.
  MlmTraining(const MlmConfig& config, MlmTrainingOptions options,
              const std::function<void(const std::string&)>& message = {});
  const Corpus& corpus() const { return corpus_; }
  MaskedLm& model() const { return *model_; }

  // Writes config.yaml, data_report.json, metrics.jsonl, checkpoints and the files of train/report/recorder.h, at the
  // end encoder/ with the best epoch's parameters, which are in the model then. Errors of Trainer::run.
  TrainResult train(TrainListener& listener, const std::atomic<bool>& stop);
  MlmReport evaluate();  // writes evaluation.json and report.html

 private:
  void train_tokenizer(const std::function<void(const std::string&)>& message) const;
  MlmConfig config_;
  MlmTrainingOptions options_;
  Corpus corpus_;
  std::unique_ptr<MaskedLm> model_;
  std::unique_ptr<MlmTask> task_;
};

}  // namespace winnow
