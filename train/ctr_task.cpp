#include "train/ctr_task.h"

#include "data/row_facts.h"
#include "ops/losses.h"
#include "train/metrics_binary.h"

namespace winnow {

CtrPredictor::CtrPredictor(const CtrModel& model, const BatchSpec& spec, const CompileOptions& options)
    : stream_(make_stream()) {
  const Value step = graph_.input("step", {DType::I64, {}});
  const BatchValues batch(graph_, spec);
  graph_.output("logits", model.logits(batch.ctr, {step, batch.weight, false}));
  program_ = std::make_unique<Program>(compile(graph_, options));
}

std::vector<float> CtrPredictor::logits(BatchSource& source) {
  std::vector<float> out;
  out.reserve(static_cast<size_t>(source.rows()));
  std::vector<Tensor> feeds = {Tensor::of<int64_t>({0}, {})};
  BatchSlot slot;
  for (source.start_epoch(0); source.next(slot);) {
    feeds.resize(1);
    feeds.insert(feeds.end(), slot.feeds().begin(), slot.feeds().end());
    program_->run(feeds, *stream_);
    const Tensor host = program_->output("logits");  // a copy where the program runs on a device
    const auto batch = host.span<float>();
    out.insert(out.end(), batch.begin(), batch.begin() + slot.rows);
  }
  return out;
}

CtrTask::CtrTask(const Dataset& dataset, CtrModel& model, int64_t batch_size, uint64_t seed,
                 const CompileOptions& options)
    : dataset_(dataset),
      model_(model),
      batch_size_(batch_size),
      options_(options),
      train_(make_training_source(dataset, seed), {batch_size}) {}

Value CtrTask::record_loss(Graph& graph, Value step, int64_t /*form*/) {
  const BatchValues batch(graph, train_.spec());
  return bce_with_logits(model_.logits(batch.ctr, {step, batch.weight, true}), batch.label, batch.weight);
}

std::span<const Tensor> CtrTask::next_batch() {
  if (!train_.next(slot_)) return {};
  return slot_.feeds();
}

std::vector<float> CtrTask::predict(Split split) {
  BatchSource source(make_row_source(dataset_, split, false), {batch_size_});
  if (predictor_ == nullptr) predictor_ = std::make_unique<CtrPredictor>(model_, source.spec(), options_);
  return predictor_->logits(source);
}

std::vector<NamedMetric> CtrTask::validate() { return validate_clicks(dataset_, predict(Split::Valid)); }

std::vector<NamedMetric> validate_clicks(const Dataset& dataset, std::span<const float> logits) {
  const SplitColumns columns = split_columns(dataset, Split::Valid);
  BinaryEvaluation options;
  options.bootstrap.resamples = 0;
  std::vector<NamedMetric> out;
  for (const MetricValue& m : evaluate_binary(columns.rows(logits), options))
    if (m.value && (m.name == "auc" || m.name == "gauc" || m.name == "logloss")) out.push_back({m.name, *m.value});
  return out;
}

SplitColumns split_columns(const Dataset& dataset, Split split) {
  SplitColumns c;
  const auto rows = static_cast<size_t>(dataset.split_rows(split));
  c.labels.reserve(rows);
  c.weights.reserve(rows);
  c.users.reserve(rows);
  c.items.reserve(rows);
  for_each_facts(dataset, split, [&](const RowFacts& f) {
    c.labels.insert(c.labels.end(), f.label.begin(), f.label.end());
    c.weights.insert(c.weights.end(), f.weight.begin(), f.weight.end());
    c.users.insert(c.users.end(), f.user.begin(), f.user.end());
    c.items.insert(c.items.end(), f.item.begin(), f.item.end());
  });
  return c;
}

}  // namespace winnow
