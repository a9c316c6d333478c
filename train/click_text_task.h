// Clicks from texts as a task of the trainer, and their inference. Rows, negatives, id_dropout and the order of
// training are those of `winnow train ctr`.
#pragma once
#include <memory>
#include <span>
#include <vector>

#include "data/batches.h"
#include "train/click_text_batch.h"
#include "train/text_task.h"

namespace winnow {

class ClickTextTask final : public TrainTask {
 public:
  // The data set must outlive the task. ConfigError: negatives drawn in the batch.
  ClickTextTask(const Dataset& dataset, const ClickTextRows& rows, ClickTextModel& model, int64_t batch_size,
                uint64_t seed, const CompileOptions& compile);
  ~ClickTextTask() override;
  Module& model() override { return model_; }
  int64_t steps_in_epoch(int64_t /*epoch*/) const override { return train_.batches(); }
  int64_t rows_per_step() const override { return batch_size_; }
  std::vector<int64_t> forms() const override { return batch_.capacities(); }
  Value record_loss(Graph& graph, Value step, int64_t form) override;
  std::span<const Tensor> next_batch() override;
  size_t form() const override { return batch_.form(); }
  void start_epoch(int64_t epoch) override { train_.start_epoch(epoch); }
  std::string cursor() const override { return train_.cursor().str(); }
  void seek(const std::string& cursor) override { train_.seek(Cursor::parse(cursor)); }
  std::vector<NamedMetric> validate() override;

  // Logits of a split's rows, in the order of the data set, with the parameters as they are now.
  std::vector<float> predict(Split split);

 private:
  bool frozen_towers() const { return model_.options().freeze_encoder && !model_.options().pair; }
  void encode_items();  // into the table

  const Dataset& dataset_;
  ClickTextModel& model_;
  int64_t batch_size_;
  CompileOptions compile_;
  ItemHistory history_;
  ClickTextTokens tokens_;
  VariablePtr table_;  // towers: [items, H], the vectors of all items
  ClickTextBatch batch_;
  BatchSource train_;
  BatchSlot slot_;
  std::vector<Tensor> feeds_;
  std::unique_ptr<TextPredictor> item_vectors_;
  bool encoded_ = false;  // a frozen encoder's table is filled once
};

}  // namespace winnow
