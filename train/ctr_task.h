// Click prediction as a task of the trainer, and its inference.
#pragma once
#include <memory>
#include <span>
#include <vector>

#include "core/program.h"
#include "data/batches.h"
#include "models/ctr_batches.h"
#include "train/metrics.h"
#include "train/trainer.h"

namespace winnow {

// The model in inference: one Program over batches of fixed size, the parameters read where training left them.
class CtrPredictor {
 public:
  CtrPredictor(const CtrModel& model, const BatchSpec& spec, const CompileOptions& options = {});
  // One logit for each row of the source's epoch 0, in its order.
  std::vector<float> logits(BatchSource& source);

 private:
  Graph graph_;
  std::unique_ptr<Program> program_;
  std::unique_ptr<Stream> stream_;
};

class CtrTask final : public TrainTask {
 public:
  CtrTask(const Dataset& dataset, CtrModel& model, int64_t batch_size, uint64_t seed, const CompileOptions& options);
  Module& model() override { return model_; }
  int64_t steps_in_epoch(int64_t /*epoch*/) const override { return train_.batches(); }
  int64_t rows_per_step() const override { return batch_size_; }
  Value record_loss(Graph& graph, Value step, int64_t form) override;
  std::span<const Tensor> next_batch() override;
  void start_epoch(int64_t epoch) override { train_.start_epoch(epoch); }
  std::string cursor() const override { return train_.cursor().str(); }
  void seek(const std::string& cursor) override { train_.seek(Cursor::parse(cursor)); }
  std::vector<NamedMetric> validate() override;

  // Logits of a split's rows, in the order of the data set.
  std::vector<float> predict(Split split);

 private:
  const Dataset& dataset_;
  CtrModel& model_;
  int64_t batch_size_;
  CompileOptions options_;
  BatchSource train_;
  BatchSlot slot_;
  std::unique_ptr<CtrPredictor> predictor_;
};

// Labels, weights and users of a split, as metrics want them.
struct SplitColumns {
  std::vector<float> labels, weights;
  std::vector<int64_t> users, items;
  MetricRows rows(std::span<const float> predictions) const { return {predictions, labels, weights, users}; }
};
SplitColumns split_columns(const Dataset& dataset, Split split);

// What click models validate by: auc, gauc and logloss of the validation rows, those that are defined.
std::vector<NamedMetric> validate_clicks(const Dataset& dataset, std::span<const float> logits);

}  // namespace winnow
