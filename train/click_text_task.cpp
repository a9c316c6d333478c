#include "train/click_text_task.h"

#include <algorithm>

#include "ops/losses.h"
#include "train/ctr_task.h"
#include "train/metrics_binary.h"

namespace winnow {
namespace {

constexpr int64_t kTowerBatch = 4096, kPairBatch = 128;  // of inference

const Dataset& checked(const Dataset& dataset) {
  WN_CHECK(dataset.in_batch == nullptr, ConfigError,
           "negatives drawn in the batch have no text here; use data.negatives.distribution uniform or popularity");
  return dataset;
}

}  // namespace

ClickTextTask::ClickTextTask(const Dataset& dataset, const ClickTextRows& rows, ClickTextModel& model,
                             int64_t batch_size, uint64_t seed, const CompileOptions& compile)
    : dataset_(checked(dataset)),
      model_(model),
      batch_size_(batch_size),
      compile_(compile),
      history_(dataset, rows.history),
      tokens_(model.encoder(), rows, model.options().pair),
      batch_(tokens_, history_, dataset, batch_size,
             frozen_towers() ? ClickTextBatch::Vectors::Table : ClickTextBatch::Vectors::Encoded, dataset.train),
      train_(make_training_source(dataset, seed), {batch_size}) {
  if (compile_.arena == nullptr) compile_.arena = std::make_shared<Arena>();
  if (model.options().pair) return;
  table_ = std::make_shared<Variable>();
  table_->name = "text.item_vectors";
  table_->trainable = false;
  table_->value = Tensor::zeros({DType::F32, {tokens_.items.rows(), model.encoder().width()}});
}
ClickTextTask::~ClickTextTask() = default;

void ClickTextTask::encode_items() {
  if (table_ == nullptr || (frozen_towers() && encoded_)) return;
  if (item_vectors_ == nullptr)
    item_vectors_ = std::make_unique<TextPredictor>(
        [&](const TokenInputs& in, const StepContext& context) { return model_.encoder().pooled(in, context); },
        tokens_.items, compile_);
  table_->value.copy_from(Tensor::of(std::span<const float>(item_vectors_->run()), table_->value.shape()));
  encoded_ = true;
}

Value ClickTextTask::record_loss(Graph& graph, Value step, int64_t form) {
  if (frozen_towers()) encode_items();  // the parameters have their first values
  const BatchValues batch(graph, train_.spec());
  const StepContext context{step, batch.weight, true};
  const Value text = batch_.record(graph, model_, table_, context, form);
  return bce_with_logits(model_.logits(text, batch.ctr, context), batch.label, batch.weight);
}

std::span<const Tensor> ClickTextTask::next_batch() {
  if (!train_.next(slot_)) return {};
  batch_.fill(slot_.index);
  feeds_.clear();
  feeds_.insert(feeds_.end(), slot_.feeds().begin(), slot_.feeds().end());
  batch_.append_feeds(feeds_);
  return feeds_;
}

std::vector<float> ClickTextTask::predict(Split split) {
  encode_items();
  const bool pair = model_.options().pair;
  const int64_t rows =
      std::min<int64_t>(pair ? kPairBatch : kTowerBatch, std::max<int64_t>(1, dataset_.split_rows(split)));
  BatchSource source(make_row_source(dataset_, split, false), {rows});
  ClickTextBatch batch(tokens_, history_, dataset_, rows, ClickTextBatch::Vectors::Table, dataset_.split(split));
  std::vector<std::unique_ptr<Graph>> graphs;
  std::vector<Program> programs;
  for (const int64_t capacity : batch.capacities()) {
    Graph& graph = *graphs.emplace_back(std::make_unique<Graph>());
    const Value step = graph.input("step", {DType::I64, {}});
    const BatchValues values(graph, source.spec());
    const StepContext context{step, values.weight, false};
    graph.output("logits", model_.logits(batch.record(graph, model_, table_, context, capacity), values.ctr, context));
    programs.push_back(compile(graph, compile_));
  }
  const auto stream = make_stream();
  const Tensor step = Tensor::of<int64_t>({0}, {});
  std::vector<float> out;
  std::vector<Tensor> feeds;
  BatchSlot slot;
  for (source.start_epoch(0); source.next(slot);) {
    batch.fill(slot.index);
    feeds.assign(1, step);
    feeds.insert(feeds.end(), slot.feeds().begin(), slot.feeds().end());
    batch.append_feeds(feeds);
    Program& program = programs[batch.form()];
    program.run(feeds, *stream);
    const Tensor host = program.output("logits");  // a copy where the program runs on a device
    const auto logits = host.span<float>();
    out.insert(out.end(), logits.begin(), logits.begin() + slot.rows);
  }
  return out;
}

std::vector<NamedMetric> ClickTextTask::validate() { return validate_clicks(dataset_, predict(Split::Valid)); }

}  // namespace winnow
