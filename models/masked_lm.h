// A masked language model (Devlin et al. 2019): a text encoder and the head that tells the tokens in given places.
#pragma once
#include <string>

#include "models/text_encoder.h"

namespace winnow {

class MaskedLm final : public Module {
 public:
  // Errors of TextEncoder. A head that the encoder's path carries is loaded, else it starts anew.
  explicit MaskedLm(const TextEncoderOptions& options);
  const TextEncoder& encoder() const { return *encoder_; }
  bool has_published_head() const { return published_head_; }  // after initialize()

  // places i64 [M], indices of tokens, -1 where there is none: the row of logits there means nothing. Only these M
  // tokens reach the head. [M, V]
  Value logits(const TokenInputs& in, Value places, const StepContext& context, Loc loc = Loc::current()) const;

  // TextEncoder::save() with the head: transformers opens it as BertForMaskedLM.
  void save(const std::string& directory) const { encoder_->save(directory, head_); }

 private:
  void initialized() override { published_head_ = encoder_->load_mlm_head(*head_); }
  TextEncoder* encoder_;
  MlmHead* head_;
  bool published_head_ = false;
};

// A finished masked language model for use: the folder of a run of `winnow train mlm`, its encoder/, or any in the
// Hugging Face layout. DataError: it carries no head.
std::unique_ptr<MaskedLm> open_masked_lm(const std::string& directory);

}  // namespace winnow
