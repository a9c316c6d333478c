// Ranking as a task of the trainer, and its inference.
#pragma once
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/token_batches.h"
#include "models/ranker.h"
#include "train/rank_config.h"
#include "train/trainer.h"

namespace winnow {

// The tensors of batches of whole queries, Q of them with R rows of room. Rows beyond those of the batch have weight 0
// and belong to no query.
class RankBatch {
 public:
  // thresholds K: of the ordinal loss, else 0.
  RankBatch(const RankingSplit& split, int64_t width, int64_t queries, int64_t rows, int64_t thresholds);
  // The graph's inputs in the order of feeds().
  struct Values {
    RankInputs model;
    Value labels, weights, offsets, targets;
  };
  Values record(Graph& graph) const;
  void fill(std::span<const int32_t> queries);
  std::span<const Tensor> feeds() const { return feeds_; }
  int64_t rows() const { return rows_; }  // filled

 private:
  const RankingSplit& split_;
  int64_t width_, thresholds_, rows_ = 0;
  Tensor features_, labels_, weights_, offsets_, targets_;
  std::vector<Tensor> feeds_;
};

// Scores of a split's rows, in its order, with the parameters as they are at each call.
class RankPredictor {
 public:
  RankPredictor(const RankModel& model, const RankingSplit& split, int64_t width, const CompileOptions& options);
  std::vector<float> scores();

 private:
  const RankingSplit& split_;
  TokenBatches batches_;
  std::vector<RankBatch> tensors_;  // one a capacity, as the graphs and programs
  std::deque<Graph> graphs_;
  std::vector<Program> programs_;
  std::unique_ptr<Stream> stream_ = make_stream({});
};

class RankTask final : public TrainTask {
 public:
  RankTask(const RankingData& data, const RankConfig& config, RankModel& model, uint64_t seed);
  Module& model() override { return model_; }
  int64_t steps_in_epoch(int64_t epoch) const override { return batches_.batches(epoch); }
  int64_t rows_per_step() const override { return mean_rows_; }
  std::vector<int64_t> forms() const override { return batches_.capacities(); }
  Value record_loss(Graph& graph, Value step, int64_t form) override;
  std::span<const Tensor> next_batch() override;
  size_t form() const override { return batches_.form(); }
  void start_epoch(int64_t epoch) override { batches_.start_epoch(epoch); }
  std::string cursor() const override { return batches_.cursor().str(); }
  void seek(const std::string& cursor) override { batches_.seek(Cursor::parse(cursor)); }
  std::vector<NamedMetric> validate() override;

 private:
  Value loss_of(Value scores, const RankBatch::Values& v) const;
  const RankingData& data_;
  const RankConfig& config_;
  RankModel& model_;
  TokenBatches batches_;  // of queries, a query's length being its rows
  std::vector<RankBatch> tensors_;
  RankPredictor validation_;
  int64_t mean_rows_;
};

// K of the ordinal loss: the largest grade of the training rows. 0 for other losses. DataError: a grade that is no
// whole number, or over 100.
int64_t thresholds_of(const RankLoss& loss, const RankingRows& train);

}  // namespace winnow
