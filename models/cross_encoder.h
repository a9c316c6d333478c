// Cross-encoder (Nogueira and Cho 2019, "Passage Re-ranking with BERT"): query and item are read together,
//   [CLS] query [SEP] item [SEP] -> encoder -> pooling -> dropout -> linear -> score
#pragma once
#include <memory>

#include "models/ranker.h"
#include "models/text_encoder.h"

namespace winnow {

struct CrossEncoderOptions {
  TextEncoderOptions encoder;
  double dropout = 0.1;  // of the pooled vector
};

class CrossEncoder final : public RankModel {
 public:
  // Errors: those of TextEncoder.
  CrossEncoder(const CrossEncoderOptions& options, int64_t thresholds);
  const TextEncoder& encoder() const { return *encoder_; }
  std::vector<Value> member_scores(const RankInputs& in, const StepContext& context) const override;

 private:
  double dropout_;
  TextEncoder* encoder_;
  Linear* head_;
};

}  // namespace winnow
