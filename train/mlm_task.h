// Masked language modelling as a task of the trainer, and its measurement on held-out rows.
#pragma once
#include <memory>
#include <span>
#include <vector>

#include "core/program.h"
#include "data/corpus.h"
#include "data/masked_batches.h"
#include "models/masked_lm.h"
#include "train/trainer.h"

namespace winnow {

struct MlmScore {
  double loss = 0;        // mean cross-entropy of the masked tokens, nats
  double perplexity = 0;  // e^loss
  double accuracy = 0;    // share of the masked tokens that have the largest logit (the first of equals)
  int64_t masked = 0;     // tokens that were predicted
  std::vector<NamedMetric> metrics() const;  // loss, perplexity, accuracy
};

// Measures a model with the parameters as they are: the same rows and masks whenever it is asked.
class MlmScorer {
 public:
  // rows and model must outlive the scorer.
  MlmScorer(const MaskedLm& model, const JaggedIds& rows, const MaskingOptions& masking,
            const TokenBatchOptions& batches, const CompileOptions& compile);
  ~MlmScorer();
  MlmScore run();

 private:
  TokenMasker masker_;
  MaskedBatches batches_;
  std::vector<std::unique_ptr<Graph>> graphs_;  // a form
  std::vector<Program> programs_;
  std::unique_ptr<Stream> stream_;
  std::vector<Tensor> feeds_;
};

class MlmTask final : public TrainTask {
 public:
  // corpus and model must outlive the task. Without validation rows nothing is validated.
  MlmTask(MaskedLm& model, const Corpus& corpus, const MaskingOptions& masking, const TokenBatchOptions& batches,
          const CompileOptions& compile);
  Module& model() override { return model_; }
  int64_t steps_in_epoch(int64_t epoch) const override { return train_.batches(epoch); }
  int64_t rows_per_step() const override { return rows_; }
  std::vector<int64_t> forms() const override;  // tokens
  Value record_loss(Graph& graph, Value step, int64_t form) override;
  std::span<const Tensor> next_batch() override;
  size_t form() const override { return train_.form(); }
  double loss_weight() const override { return static_cast<double>(train_.masked()); }
  int64_t units() const override { return train_.tokens(); }
  std::string unit() const override { return "tokens"; }
  void start_epoch(int64_t epoch) override { train_.start_epoch(epoch); }
  std::string cursor() const override { return train_.cursor().str(); }
  void seek(const std::string& cursor) override { train_.seek(Cursor::parse(cursor)); }
  std::vector<NamedMetric> validate() override;
  MlmScore score();  // of the validation rows

 private:
  MaskedLm& model_;
  const Corpus& corpus_;
  MaskingOptions masking_;
  TokenBatchOptions options_;
  CompileOptions compile_;
  int64_t rows_;
  TokenMasker masker_;
  MaskedBatches train_;
  std::unique_ptr<MlmScorer> scorer_;
};

}  // namespace winnow
