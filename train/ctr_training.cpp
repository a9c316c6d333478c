#include "train/ctr_training.h"

#include "core/file.h"
#include "data/leaks.h"
#include "train/checkpoint.h"
#include "train/ctr_task.h"
#include "train/report/recorder.h"

namespace winnow {
namespace {

class MessagesOnly final : public SilentListener {
 public:
  explicit MessagesOnly(TrainListener& to) : to_(to) {}
  void on_message(const std::string& text) override { to_.on_message(text); }

 private:
  TrainListener& to_;
};

// Before the data is read: a name that is taken should not cost minutes.
const CtrConfig& checked(const CtrConfig& config, const CtrTrainingOptions& options) {
  check_run_directory(options.out, options.resume);
  if (config.model.embedding_cache_rows == 0) return config;
  WN_CHECK(default_device().kind != Device::CPU, ConfigError,
           "model.embedding_cache_rows is for tables larger than a device's memory; --device cpu reads them where they "
           "are: leave it out, or use --device cuda");
  Optimizer::check_cached(config.loop.train.optimizer);
  return config;
}

}  // namespace

CtrTraining::CtrTraining(const CtrConfig& config, CtrTrainingOptions options)
    : config_(checked(config, options)),
      options_(std::move(options)),
      dataset_(load_dataset(config_.schema, options_.out)),
      model_(make_ctr_model(ctr_spec(dataset_.map), config_.model)) {
  dataset_.report.leaks = check_leaks(dataset_, config_.schema);
}

TrainResult CtrTraining::train_one(const CtrConfig& config, CtrModel& model, const std::string& directory,
                                   TrainListener& listener, const std::atomic<bool>& stop) const {
  make_directories(directory);
  CtrTask task(dataset_, model, config.loop.batch_size, config.loop.train.seed, config.loop.train.compile);
  RunRecorder recorder(directory, config.resolved, listener);
  Trainer trainer(task, config.loop.train, directory, recorder, stop);
  return trainer.run(options_.resume);
}

TrainResult CtrTraining::train(TrainListener& listener, const std::atomic<bool>& stop) {
  make_directories(options_.out);
  write_atomically(options_.out + "/config.yaml", config_.resolved);
  write_atomically(options_.out + "/data_report.json", dataset_.report.json() + "\n");
  const TrainResult result = train_one(config_, *model_, options_.out, listener, stop);
  if (!result.interrupted) save_run(options_.out, config_, dataset_, *model_);
  return result;
}

EvaluationReport CtrTraining::evaluate(TrainListener& listener, const std::atomic<bool>& stop) {
  const Split split = options_.test ? Split::Test : Split::Valid;
  EvaluationReport report = evaluate_run(config_, dataset_, *model_, config_.model.name, split);
  MessagesOnly messages(listener);
  for (const std::string& name : config_.evaluation.baselines) {
    if (name == config_.model.name) continue;
    messages.on_message(fmt::format("baseline {}", name));
    CtrConfig other = config_;
    other.model.name = name;
    other.evaluation.slices.clear();
    other.evaluation.importance_rows = 0;
    const auto model = make_ctr_model(ctr_spec(dataset_.map), other.model);
    if (train_one(other, *model, fmt::format("{}/baseline-{}", options_.out, name), messages, stop).interrupted) break;
    EvaluationReport result = evaluate_run(other, dataset_, *model, name, split);
    report.baselines.insert(report.baselines.begin(), {name, std::move(result.metrics), std::move(result.ranking)});
  }
  save_evaluation(options_.out, report);
  finish_run(options_.out);
  return report;
}

}  // namespace winnow
