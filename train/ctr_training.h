// What `winnow train ctr` does, for programs: data, model, training, evaluation, the files of the run.
//
//   const CtrConfig config({.config = "store.yaml"});
//   CtrTraining training(config, {.out = "runs/store"});
//   if (training.train(listener, stop).interrupted) return;   // saved; go on with .resume = true
//   const EvaluationReport report = training.evaluate();
//
// config.model.name may be one of the program's own (register_model() in models/ctr.h).
#pragma once
#include <atomic>
#include <memory>
#include <string>

#include "train/run.h"
#include "train/trainer.h"

namespace winnow {

struct CtrTrainingOptions {
  std::string out;      // the run directory, made where it is absent
  bool resume = false;  // go on from its newest checkpoint
  bool test = true;     // false: evaluated on the validation split; the test split is never scored
};

class CtrTraining {
 public:
  // Loads the data, looks for leaks (dataset().report.leaks) and makes the model. ConfigError: `out` holds checkpoints
  // and resume is false; DataError, also for leaks where the schema says so.
  CtrTraining(const CtrConfig& config, CtrTrainingOptions options);
  const Dataset& dataset() const { return dataset_; }
  CtrModel& model() { return *model_; }

  // Trains and writes config.yaml, metrics.jsonl, checkpoints and the files of train/report/recorder.h, at the end
  // feature_map.json and model.safetensors. The
  // best epoch's parameters are in the model then. Errors of Trainer::run.
  TrainResult train(TrainListener& listener, const std::atomic<bool>& stop);
  // The model and the trivial baselines, then the models of evaluation.baselines, trained beside with the same settings
  // in baseline-NAME; writes evaluation.json and report.html. When `stop` is set during a baseline, the report holds
  // those before it.
  EvaluationReport evaluate(TrainListener& listener, const std::atomic<bool>& stop);

 private:
  TrainResult train_one(const CtrConfig& config, CtrModel& model, const std::string& directory, TrainListener& listener,
                        const std::atomic<bool>& stop) const;
  CtrConfig config_;
  CtrTrainingOptions options_;
  Dataset dataset_;
  std::unique_ptr<CtrModel> model_;
};

// A listener that hears nothing, and one that passes on messages only.
class SilentListener : public TrainListener {
 public:
  void on_start(const Program&, int64_t, int64_t) override {}
  void on_step(int64_t, int64_t, int64_t, double) override {}
  void on_epoch(int64_t, double, const std::vector<NamedMetric>&, bool, double) override {}
  void on_message(const std::string&) override {}
};

}  // namespace winnow
