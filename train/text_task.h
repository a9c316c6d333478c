// Learning from rows of tokens as a task of the trainer, and its inference.
#pragma once
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "core/program.h"
#include "data/token_batches.h"
#include "models/text_encoder.h"
#include "train/trainer.h"

namespace winnow {

// What rows are to be: a class each (labels i64 [N], -1: none), or floats f32 [N, width]. weights: [N], empty: all 1.
struct TextTargets {
  std::vector<int64_t> labels;
  std::vector<float> values;
  int64_t width = 0;  // of values; 0: labels
  std::vector<float> weights;
  int64_t rows() const {
    return static_cast<int64_t>(width == 0 ? labels.size() : values.size() / static_cast<size_t>(width));
  }
};

struct TextRows {
  JaggedIds tokens;
  TextTargets targets;
};

// Records what a model gives for a batch: [B, outputs].
using RecordOutputs = std::function<Value(const TokenInputs& in, const StepContext& context)>;

// A model in inference over given rows, in batches of similar length: compiled once, the parameters read where training
// left them. The same rows give the same bits whoever asks.
class TextPredictor {
 public:
  static constexpr int64_t kBatch = 64;
  // tokens must outlive the predictor.
  TextPredictor(const RecordOutputs& record, const JaggedIds& tokens, const CompileOptions& compile);
  ~TextPredictor();
  int64_t width() const { return width_; }  // outputs of a row
  std::vector<float> run();                 // [N, width], in the order of the rows

 private:
  struct Form;
  const JaggedIds& tokens_;
  TokenBatches batches_;
  int64_t rows_, width_ = 0;  // rows of a batch
  std::vector<std::unique_ptr<Form>> forms_;
  std::unique_ptr<Stream> stream_;
};

struct TextTaskOptions {
  TokenBatchOptions batches;
  CompileOptions compile;
  RecordOutputs outputs;
  // outputs [B, width]; targets i64 [B] or f32 [B, width]; weights f32 [B], 0 for rows that a short batch lacks.
  std::function<Value(Value outputs, Value targets, Value weights)> loss;
  std::function<std::vector<NamedMetric>(std::span<const float> outputs)> validate;  // of the validation rows
};

class TextTask final : public TrainTask {
 public:
  // train and valid must outlive the task; valid without rows: nothing is validated.
  TextTask(Module& model, const TextRows& train, const JaggedIds& valid, TextTaskOptions options);
  ~TextTask() override;
  Module& model() override { return model_; }
  int64_t steps_in_epoch(int64_t epoch) const override { return batches_.batches(epoch); }
  int64_t rows_per_step() const override { return options_.batches.batch_size; }
  std::vector<int64_t> forms() const override { return batches_.capacities(); }
  Value record_loss(Graph& graph, Value step, int64_t form) override;
  std::span<const Tensor> next_batch() override;
  size_t form() const override { return batches_.form(); }
  void start_epoch(int64_t epoch) override { batches_.start_epoch(epoch); }
  std::string cursor() const override { return batches_.cursor().str(); }
  void seek(const std::string& cursor) override { batches_.seek(Cursor::parse(cursor)); }
  std::vector<NamedMetric> validate() override;

 private:
  struct Slot;
  Module& model_;
  const TextRows& train_;
  const JaggedIds& valid_;
  TextTaskOptions options_;
  TokenBatches batches_;
  std::vector<std::unique_ptr<Slot>> slots_;  // one a form
  std::unique_ptr<TextPredictor> predictor_;
};

}  // namespace winnow
