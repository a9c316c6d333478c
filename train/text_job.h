// Jobs that give a text (or a pair) one answer: `winnow train classify`, `winnow train value-text`. A job says what the
// targets are, which loss, which metrics; data, model, training and the files of a run are the same for all.
//
//   const TextConfig config({.config = "banking77.yaml"}, "classify");
//   TextTraining training(config, {.out = "runs/banking"});
//   if (training.train(listener, stop).interrupted) return;   // saved; go on with .resume = true
//   const TextEvaluation evaluation = training.evaluate();
#pragma once
#include <atomic>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "core/bootstrap.h"
#include "data/text_rows.h"
#include "models/text_model.h"
#include "train/options.h"
#include "train/run.h"
#include "train/text_task.h"

namespace winnow {

// A split as a job sees it.
struct TextSplit {
  Split split = Split::Test;
  const TextTable* table = nullptr;
  std::span<const int32_t> rows;  // of the table
  const JaggedIds* tokens = nullptr;
  const TextTargets* targets = nullptr;
  const Tokenizer* tokenizer = nullptr;
};

struct TextEvaluation {
  std::string text, json;  // tables for people; evaluation.json
};

class TextJob {
 public:
  virtual ~TextJob() = default;
  virtual const char* name() const = 0;                                    // as in `winnow train NAME`
  virtual std::vector<std::string> columns() const = 0;                    // of the data, that targets come from
  virtual Monitors monitors() const = 0;                                   // what training may watch
  virtual void fit(const TextTable& table) = 0;                            // on the training rows; DataError
  virtual int64_t outputs() const = 0;                                     // numbers the model gives for a row
  virtual std::vector<int32_t> trained(const TextTable& table) const = 0;  // training rows that have a target
  virtual TextTargets targets(const TextTable& table, std::span<const int32_t> rows) const = 0;
  virtual Value loss(Value outputs, Value targets, Value weights) const = 0;
  virtual std::vector<NamedMetric> validate(std::span<const float> outputs, const TextSplit& valid) const = 0;
  // After training: what is set on held-out rows, such as thresholds. Not called without any.
  virtual void calibrate(std::span<const float> outputs, const TextSplit& held_out) = 0;
  virtual TextEvaluation evaluate(std::span<const float> outputs, const TextSplit& split,
                                  const TextSplit& train) const = 0;
  // What the model's numbers mean, as fitted: <run>/target.json.
  virtual nlohmann::json state() const = 0;
  virtual void restore(const nlohmann::json& state) = 0;
  // One row's outputs for `winnow predict`.
  virtual nlohmann::json prediction(std::span<const float> outputs, int64_t top) const = 0;
  virtual std::string prediction_text(std::span<const float> outputs, int64_t top) const = 0;
  // Facts of the targets for data_report.json.
  virtual nlohmann::json describe(const TextTable& table) const = 0;
};

std::unique_ptr<TextJob> make_classify(const ConfigNode& root);    // train/classify.h
std::unique_ptr<TextJob> make_value_text(const ConfigNode& root);  // train/value_text.h

struct TextConfig {
  // job: the name the config must be for; "": that of its key `job`. encoder: a directory that stands for the encoder
  // of the config, that of a finished run; "": none. ConfigError; every key is read.
  explicit TextConfig(const CommonOptions& options, const std::string& job = "", const std::string& encoder = "");
  std::shared_ptr<TextJob> job;
  TextRowsSpec data;
  TextModelOptions model;
  LoopOptions loop;
  TokenBatchOptions batches;
  std::string resolved;  // YAML with all defaults
};

// Before config.root(): the encoder of a finished run stands for the one that the config (read from `file`) names. What
// it says of itself, where the caller has to use it instead of the section `encoder`; directory "": nothing.
std::optional<TextEncoderOptions> replace_encoder(Config& config, const std::string& file,
                                                  const std::string& directory);
bool is_text_job(const std::string& job);

struct TextTrainingOptions {
  std::string out;
  bool resume = false;
  bool test = true;  // false: the test split is never scored
};

class TextTraining {
 public:
  // Reads and encodes the texts and makes the model. ConfigError: `out` holds checkpoints and resume is false.
  TextTraining(TextConfig config, TextTrainingOptions options);
  ~TextTraining();
  const std::string& summary() const { return summary_; }  // of the data, for people
  int64_t batch_size() const { return config_.loop.batch_size; }
  // Trains and writes config.yaml, data_report.json, metrics.jsonl, checkpoints and the files of
  // train/report/recorder.h; at the end encoder/, model.safetensors (the head) and target.json.
  TrainResult train(TrainListener& listener, const std::atomic<bool>& stop);
  // On the test split (where there is none, or test is false: the validation split). Writes evaluation.json and
  // report.html. DataError: no row is held out.
  TextEvaluation evaluate();
  std::vector<float> outputs(Split split);  // of the model as it is now

 private:
  struct Data;
  TextSplit view(Split split) const;
  TextConfig config_;
  TextTrainingOptions options_;
  std::unique_ptr<Data> data_;
  std::unique_ptr<TextModel> model_;
  std::string summary_;
};

// A finished run.
class OpenedTextRun {
 public:
  explicit OpenedTextRun(const std::string& directory, const std::vector<std::string>& sets = {});
  ~OpenedTextRun();
  const TextConfig& config() const { return config_; }
  const TextJob& job() const { return *config_.job; }
  const TextModel& model() const { return *model_; }
  // Reads the data anew and scores a split of it.
  TextEvaluation evaluate(Split split) const;
  std::vector<float> outputs(Split split) const;
  // Outputs of any texts, [N, outputs]; second: of pairs.
  std::vector<float> outputs(std::span<const std::string_view> first,
                             std::span<const std::string_view> second = {}) const;

 private:
  TextConfig config_;
  std::unique_ptr<TextModel> model_;
};

// <run>/encoder, model.safetensors, target.json.
void save_text_model(const std::string& directory, const TextModel& model, const TextJob& job);

}  // namespace winnow
