#include "models/text_model.h"

#include <charconv>

#include "ops/dropout.h"

namespace winnow {

TextModelOptions read_text_model_options(const ConfigNode& encoder, const ConfigNode& model) {
  TextModelOptions o;
  o.encoder = read_text_encoder_options(encoder);
  o.dropout = model.get("dropout", o.dropout, fraction());
  o.freeze_encoder = model.get("freeze_encoder", o.freeze_encoder);
  if (o.freeze_encoder && o.encoder.path.empty())
    model.fail("freeze_encoder", "an encoder that starts from scratch must be trained; give encoder.path");
  if (!o.freeze_encoder) o.freeze_layers = model.get("freeze_layers", o.freeze_layers, at_least(0));
  return o;
}

int64_t depth_of(const std::string& parameter, int64_t layers) {
  if (parameter.starts_with("embeddings.") || parameter.find(".embeddings.") != std::string::npos) return 0;
  static constexpr std::string_view kLayers = "layers.";
  const size_t at = parameter.find(kLayers);
  if (at == std::string::npos) return layers + 1;
  int64_t n = 0;
  const char* digits = parameter.data() + at + kLayers.size();
  std::from_chars(digits, parameter.data() + parameter.size(), n);
  return n + 1;
}

void freeze_below(const std::vector<Parameter>& parameters, int64_t depth, int64_t layers) {
  for (const Parameter& p : parameters)
    if (depth_of(p.name(), layers) < depth) p.variable->trainable = false;
}

TextModel::TextModel(const TextModelOptions& options, int64_t outputs)
    : options_(options),
      outputs_(outputs),
      encoder_(&child<TextEncoder>("encoder", options.encoder)),
      head_(&child<Linear>("head", encoder_->width(), outputs, true, Init::kaiming_uniform())) {
  const int64_t layers = encoder_->options().transformer.num_hidden_layers;
  WN_CHECK(options_.freeze_layers <= layers, ConfigError, "model.freeze_layers is {}, the encoder has {} layers",
           options_.freeze_layers, layers);
  if (options_.freeze_encoder) freeze_below(encoder_->parameters(), layers + 2, layers);
  if (options_.freeze_layers > 0) freeze_below(encoder_->parameters(), options_.freeze_layers + 1, layers);
}

Value TextModel::operator()(const TokenInputs& in, const StepContext& context, Loc loc) const {
  StepContext of_encoder = context;
  if (options_.freeze_encoder) of_encoder.training = false;
  Value x = encoder_->pooled(in, of_encoder, loc);
  if (context.training && options_.dropout > 0) x = dropout(x, options_.dropout, context.step, loc);
  return (*head_)(x, loc);
}

std::vector<Parameter> TextModel::head_parameters() const {
  std::vector<Parameter> out;
  for (const Parameter& p : parameters())
    if (p.name().starts_with("head.")) out.push_back(p);
  return out;
}

}  // namespace winnow
