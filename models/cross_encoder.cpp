#include "models/cross_encoder.h"

#include "models/parts.h"
#include "ops/dropout.h"

namespace winnow {

CrossEncoder::CrossEncoder(const CrossEncoderOptions& options, int64_t thresholds)
    : RankModel(thresholds),
      dropout_(options.dropout),
      encoder_(&child<TextEncoder>("encoder", options.encoder)),
      head_(&child<Linear>("head", encoder_->width(), 1)) {}

std::vector<Value> CrossEncoder::member_scores(const RankInputs& in, const StepContext& context) const {
  Value x = encoder_->pooled(in.tokens, context);
  if (context.training && dropout_ > 0) x = dropout(x, dropout_, context.step);
  return {squeeze((*head_)(x))};
}

}  // namespace winnow
