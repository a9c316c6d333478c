// A trained click model answering requests on the CPU: encoded rows in, logits out.
//
//   const SavedClickModel saved("runs/store");
//   ClickPredictor predictor(saved);
//   saved.map.encode_row(cells, row);
//   predictor.logits(rows, logits);
//
// The bits are those of the trainer's evaluation, whatever else is in the request: rows do not see one another, and a
// product gives a row the same bits in every batch (core/cpu/sgemm.h). No allocation after the first call.
#pragma once
#include <memory>
#include <span>
#include <vector>

#include "core/program.h"
#include "models/saved_click_model.h"

namespace winnow {

struct ClickPredictorOptions {
  // Rows of the batches that a request is cut into: each size is compiled once, on one arena. A remainder takes the
  // smallest size that holds it.
  std::vector<int64_t> batch_sizes = {1, 8, 32, 128, 512};
};

class ClickPredictor {
 public:
  // `saved` must outlive the predictor. ConfigError: no size, or one below 1.
  explicit ClickPredictor(const SavedClickModel& saved, const ClickPredictorOptions& options = {});
  ~ClickPredictor();
  const FeatureMap& features() const { return saved_.map; }
  // One logit a row. One call at a time. ShapeError: as many rows as logits are needed, and rows of this feature map.
  void logits(std::span<const EncodedRow> rows, std::span<float> logits);

 private:
  struct Form;
  void run(Form& form, std::span<const EncodedRow> rows, std::span<float> logits);
  const SavedClickModel& saved_;
  std::vector<std::unique_ptr<Form>> forms_;  // ascending
  std::unique_ptr<Stream> stream_;
};

}  // namespace winnow
