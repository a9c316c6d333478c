// Training a dual encoder as a task of the trainer.
#pragma once
#include <memory>

#include "train/match/config.h"
#include "train/match/evaluate.h"
#include "train/match/vectors.h"
#include "train/trainer.h"

namespace winnow {

// The token rows of all texts of a data set.
struct MatchTokens {
  JaggedIds queries, items;
  MatchTokens(const MatchData& data, const DualEncoder& model);
};

std::vector<int32_t> queries_of(const MatchData& data, Split split);  // that have a pair, ascending
MatchBatchOptions batch_options(const MatchConfig& config, const MatchData& data);

class MatchTask final : public TrainTask {
 public:
  MatchTask(const MatchConfig& config, const MatchData& data, DualEncoder& model, TrainListener& listener);
  Module& model() override { return model_; }
  int64_t steps_in_epoch(int64_t /*epoch*/) const override { return batches_.batches(); }
  int64_t rows_per_step() const override { return config_.loop.batch_size; }
  std::vector<int64_t> forms() const override;
  Value record_loss(Graph& graph, Value step, int64_t form) override;
  std::span<const Tensor> next_batch() override;
  size_t form() const override { return batches_.form(); }
  void start_epoch(int64_t epoch) override;
  std::string cursor() const override { return batches_.cursor().str(); }
  void seek(const std::string& cursor) override;
  std::vector<VariablePtr> state() override;  // the mined negatives
  std::vector<NamedMetric> validate() override;

  MatchVectors vectors(Split split);  // of the split's queries and all items, with the parameters as they are now

 private:
  void mine(int64_t epoch);
  const MatchConfig& config_;
  const MatchData& data_;
  DualEncoder& model_;
  TrainListener& listener_;
  MatchTokens tokens_;
  MatchBatches batches_;
  TextVectors query_vectors_, item_vectors_;
  VariablePtr negatives_;  // i32 [rows, negatives]; null: no mining
  int64_t mine_for_ = -1;  // the epoch that is to begin with a mining
};

}  // namespace winnow
