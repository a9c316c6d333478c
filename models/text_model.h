// A text encoder with a linear head over its pooled vector: classes, or one value, of a text or a pair of texts.
#pragma once
#include "models/text_encoder.h"

namespace winnow {

// The sections `encoder:` and `model:` of a text job's config.
struct TextModelOptions {
  TextEncoderOptions encoder;
  double dropout = 0.1;         // of the pooled vector
  bool freeze_encoder = false;  // the encoder stays as it is, and is run without dropout
  int64_t freeze_layers = 0;    // the embeddings and this many layers from below stay as they are; 0: none
};
// Keys of `model`: dropout, freeze_encoder, freeze_layers. ConfigError: a frozen encoder that starts from scratch.
TextModelOptions read_text_model_options(const ConfigNode& encoder, const ConfigNode& model);

// y = linear(dropout(pool(encoder(tokens)))). Parameters: encoder.*, head.weight, head.bias.
class TextModel final : public Module {
 public:
  // ConfigError: more frozen layers than there are.
  TextModel(const TextModelOptions& options, int64_t outputs);
  const TextEncoder& encoder() const { return *encoder_; }
  int64_t outputs() const { return outputs_; }
  Value operator()(const TokenInputs& in, const StepContext& context, Loc loc = Loc::current()) const;  // [B, outputs]
  std::vector<Parameter> head_parameters() const;                                                       // head.*

 private:
  TextModelOptions options_;
  int64_t outputs_;
  TextEncoder* encoder_;
  Linear* head_;
};

// Which part of a transformer a parameter is, by its name: 0 the embeddings, n + 1 layer n; `layers` + 1 whatever comes
// after the last layer (poolers, heads).
int64_t depth_of(const std::string& parameter, int64_t layers);
// Parameters of a depth below `depth` are not trained.
void freeze_below(const std::vector<Parameter>& parameters, int64_t depth, int64_t layers);

}  // namespace winnow
