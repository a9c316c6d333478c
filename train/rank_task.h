// Ranking as a task of the trainer, and its inference.
#pragma once
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "data/token_batches.h"
#include "models/ranker.h"
#include "train/rank_config.h"
#include "train/trainer.h"

namespace winnow {

// The rows of a split as a model reads them: F numbers each, or the tokens of query and item.
class RankReader {
 public:
  RankReader(const RankingSplit& split, int64_t width);  // of features
  RankReader(const RankingSplit& split, const TextEncoder& encoder);
  const RankingSplit& split() const { return *split_; }
  int64_t width() const { return width_; }  // of features; 0: texts
  const JaggedIds& tokens() const { return tokens_; }
  std::vector<int64_t> query_sizes() const;  // by which batches are cut: rows, of texts tokens
  int64_t most_rows(int64_t queries) const;  // that so many queries can have

 private:
  const RankingSplit* split_;
  int64_t width_ = 0;
  JaggedIds tokens_;  // of each row
};
RankReader reader_for(const RankModel& model, const RankingSplit& split, int64_t width);

// The tensors of batches of whole queries, `queries` of them, with room for `capacity` rows, of texts tokens. Rows
// beyond those of the batch have weight 0 and belong to no query.
class RankBatch {
 public:
  // thresholds K: of the ordinal loss, else 0.
  RankBatch(const RankReader& reader, int64_t queries, int64_t capacity, int64_t thresholds);
  // The graph's inputs in the order of feeds().
  struct Values {
    RankInputs model;
    Value labels, weights, offsets, targets;
  };
  Values record(Graph& graph) const;
  void fill(std::span<const int32_t> queries);  // allocates nothing
  std::span<const Tensor> feeds() const { return feeds_; }
  int64_t rows() const { return rows_; }  // filled

 private:
  const RankReader* reader_;
  int64_t thresholds_, rows_ = 0;
  Tensor features_, labels_, weights_, offsets_, targets_;
  std::optional<TokenTensors> tokens_;
  std::vector<int32_t> chosen_;  // rows of the split
  std::vector<Tensor> feeds_;
};

// Scores of a split's rows, in its order, with the parameters as they are at each call.
class RankPredictor {
 public:
  RankPredictor(const RankModel& model, const RankingSplit& split, int64_t width, const CompileOptions& options);
  std::vector<float> scores();

 private:
  RankReader reader_;
  TokenBatches batches_;
  std::vector<RankBatch> tensors_;  // one a capacity, as the graphs and programs
  std::deque<Graph> graphs_;
  std::vector<Program> programs_;
  std::unique_ptr<Stream> stream_ = make_stream();
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
  RankReader reader_;
  TokenBatches batches_;  // of queries
  std::vector<RankBatch> tensors_;
  RankPredictor validation_;
  int64_t mean_rows_;
};

// K of the ordinal loss: the largest grade of the training rows. 0 for other losses. DataError: a grade that is no
// whole number, or over 100.
int64_t thresholds_of(const RankLoss& loss, const RankingRows& train);

}  // namespace winnow
