// A trained click model answering requests on the CPU: encoded rows in, logits out.
//
//   const SavedClickModel saved("runs/store");
//   ClickPredictor predictor(saved);
//   saved.map.encode_row(cells, row);
//   predictor.logits(rows, logits);
//
// The bits are those of the trainer's evaluation with the same form of weights, whatever else is in the request: rows
// do not see one another, and a product gives a row the same bits in every batch (core/cpu/sgemm.h, int8_matmul.h). No
// allocation after the first call.
#pragma once
#include <memory>
#include <span>
#include <vector>

#include "core/program.h"
#include "models/saved_click_model.h"

namespace winnow {

struct ClickPredictorOptions {
  // Rows of the batches that a request is cut into: each size is compiled once, on one arena. A remainder takes the
  // smallest size that holds it, the rest of which is padding, or where that is more than a sixteenth first the largest
  // that it fills.
  std::vector<int64_t> batch_sizes = {1,  2,  4,  8,   12,  16,  20,  24,  28,  32,  40,  48,  56,  64,  72,
                                      80, 88, 96, 104, 112, 120, 128, 160, 192, 224, 256, 320, 384, 448, 512};
  WeightForm weights = WeightForm::F32;        // of an own one
  std::shared_ptr<FrozenWeights> frozen = {};  // shared by predictors of one model; null: an own one
};

// Rows to score and where their logits go.
struct RowsToScore {
  std::span<const EncodedRow> rows;
  std::span<float> logits;
};

class ClickPredictor {
 public:
  // `saved` must outlive the predictor. ConfigError: no size, or one below 1.
  explicit ClickPredictor(const SavedClickModel& saved, const ClickPredictorOptions& options = {});
  ~ClickPredictor();
  const FeatureMap& features() const { return saved_.map; }
  // One logit a row. One call at a time. ShapeError: as many rows as logits are needed, and rows of this feature map.
  void logits(std::span<const EncodedRow> rows, std::span<float> logits) {
    const RowsToScore part{rows, logits};
    this->logits(std::span(&part, 1));
  }
  // Of several requests, in the same batches.
  void logits(std::span<const RowsToScore> parts);
  // To be called when the parameters of the model were given other values, of one of the predictors that share weights.
  void refresh() { frozen_->refresh(); }
  const std::shared_ptr<FrozenWeights>& frozen() const { return frozen_; }

 private:
  struct Form;
  // Row by row through all parts.
  struct Place {
    std::span<const RowsToScore> parts;
    size_t part = 0, row = 0;
    template <class F>
    void advance(int64_t rows, F&& visit);
  };
  void run(Form& form, Place& place, int64_t rows);
  const SavedClickModel& saved_;
  std::vector<std::unique_ptr<Form>> forms_;  // ascending
  std::shared_ptr<FrozenWeights> frozen_;
  std::unique_ptr<Stream> stream_;
};

}  // namespace winnow
