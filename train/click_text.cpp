#include "train/click_text.h"

#include "core/file.h"
#include "core/safetensors.h"
#include "data/leaks.h"
#include "data/row_facts.h"
#include "train/baselines.h"
#include "train/checkpoint.h"
#include "train/ctr_task.h"
#include "train/delong.h"
#include "train/report/recorder.h"

namespace winnow {
namespace {

const ClickTextConfig& checked(const ClickTextConfig& config, const ClickTextTrainingOptions& options) {
  check_run_directory(options.out, options.resume);
  return config;
}

ClickTextRows rows_of(const ClickTextConfig& config, const Dataset& dataset) {
  return {config.history, item_texts(dataset, config.item_features), user_texts(dataset, config.user_features)};
}

EvaluationReport evaluate(const ClickTextConfig& config, const Dataset& dataset, ClickTextModel& model, Split split) {
  const EvaluationOptions& e = config.evaluation;
  ClickTextTask task(dataset, rows_of(config, dataset), model, 1, 0, config.loop.train.compile);
  SplitColumns columns = split_columns(dataset, split);
  EvaluationReport report;
  report.model = model.options().ids ? "text + " + model.options().ids->name : "text";
  report.split = split;
  report.rows = static_cast<int64_t>(columns.labels.size());
  report.predictions = {task.predict(split),
                        std::move(columns.labels),
                        std::move(columns.weights),
                        std::move(columns.users),
                        std::move(columns.items),
                        name_of(split),
                        report.model,
                        fingerprint_of(dataset, split)};
  const Predictions& p = report.predictions;
  BinaryEvaluation binary;
  binary.bootstrap.resamples = static_cast<int>(e.resamples);
  binary.bootstrap.seed = e.seed;
  report.metrics = evaluate_binary(p.rows(), binary);
  const std::span<const float> scores[] = {p.logits};
  const DeLong d = delong(scores, p.labels, p.weights);
  report.no_delong = d.reason;
  if (d.defined()) report.auc_delong = delong_interval(d.auc[0], d.variance(0));
  report.curves = curves_of(p.rows());
  report.slices = evaluate_slices(dataset, split, p.logits, e.slices, {e.slice_min_rows, binary});
  ItemPopularity popularity(static_cast<int64_t>(dataset.item_keys.size()));
  for_each_facts(dataset, Split::Train, [&](const RowFacts& f) {
    const std::vector<int64_t> items(f.item.begin(), f.item.end()), users(f.user.begin(), f.user.end());
    popularity.add({items, f.label, f.weight, users});
  });
  for (BaselineResult& b : evaluate_baselines(popularity, {p.items, p.labels, p.weights, p.users}, binary))
    report.baselines.push_back({b.name, std::move(b.metrics), std::nullopt});
  return report;
}

}  // namespace

ClickTextTraining::ClickTextTraining(ClickTextConfig config, ClickTextTrainingOptions options)
    : config_(checked(config, options)),
      options_(std::move(options)),
      dataset_(load_dataset(config_.schema, options_.out)),
      model_(std::make_unique<ClickTextModel>(config_.model, ctr_spec(dataset_.map))) {
  dataset_.report.leaks = check_leaks(dataset_, config_.schema);
  if (config_.loop.train.compile.arena == nullptr) config_.loop.train.compile.arena = std::make_shared<Arena>();
}
ClickTextTraining::~ClickTextTraining() = default;

TrainResult ClickTextTraining::train(TrainListener& listener, const std::atomic<bool>& stop) {
  make_directories(options_.out);
  write_atomically(options_.out + "/config.yaml", config_.resolved);
  write_atomically(options_.out + "/data_report.json", dataset_.report.json() + "\n");
  ClickTextTask task(dataset_, rows_of(config_, dataset_), *model_, config_.loop.batch_size, config_.loop.train.seed,
                     config_.loop.train.compile);
  RunRecorder recorder(options_.out, config_.resolved, listener);
  Trainer trainer(task, config_.loop.train, options_.out, recorder, stop);
  const TrainResult result = trainer.run(options_.resume);
  if (result.interrupted) return result;
  dataset_.map.save(options_.out + "/feature_map.json");
  model_->encoder().save(options_.out + "/encoder");
  save_parameters(options_.out + "/model.safetensors", model_->other_parameters(), "click-text");
  return result;
}

EvaluationReport ClickTextTraining::evaluate() {
  EvaluationReport report = winnow::evaluate(config_, dataset_, *model_, options_.test ? Split::Test : Split::Valid);
  save_evaluation(options_.out, report);
  finish_run(options_.out);
  return report;
}

EvaluationReport evaluate_click_text(const std::string& run, const std::vector<std::string>& sets, Split split) {
  ClickTextConfig config({run + "/config.yaml", sets}, run + "/encoder");
  const std::string path = run + "/model.safetensors";
  const SafeTensors file = open_parameters(path);
  const Dataset dataset = load_dataset(config.schema, run);
  WN_CHECK(dataset.map.json() == FeatureMap::load(run + "/feature_map.json").json(), DataError,
           "{}: the data files give other vocabularies than those the model was trained with; restore the files, or "
           "train again",
           run);
  ClickTextModel model(config.model, ctr_spec(dataset.map));
  model.initialize(config.loop.train.seed);
  load_parameters(file, model.other_parameters(), path);
  return evaluate(config, dataset, model, split);
}

}  // namespace winnow
