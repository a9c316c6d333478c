#include "models/masked_lm.h"

#include "core/file.h"
#include "ops/shape_ops.h"

namespace winnow {

MaskedLm::MaskedLm(const TextEncoderOptions& options)
    : encoder_(&child<TextEncoder>("encoder", options)),
      head_(&child<MlmHead>("head", encoder_->transformer().options())) {}

Value MaskedLm::logits(const TokenInputs& in, Value places, const StepContext& context, Loc loc) const {
  const Value hidden = gather(encoder_->tokens(in, context, loc), places, loc);
  return (*head_)(hidden, encoder_->transformer().word_embedding(*in.ids.graph), loc);
}

std::unique_ptr<MaskedLm> open_masked_lm(const std::string& directory) {
  const bool run = !file_exists(directory + "/config.json") && directory_exists(directory + "/encoder");
  const std::string path = run ? directory + "/encoder" : directory;
  auto model = std::make_unique<MaskedLm>(published_encoder_options(path));
  model->initialize(0);
  WN_CHECK(model->has_published_head(), DataError,
           "{}: the weights carry no masked language model head; `winnow train mlm` and models saved as "
           "BertForMaskedLM do",
           path);
  return model;
}

}  // namespace winnow
