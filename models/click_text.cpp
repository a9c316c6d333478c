#include "models/click_text.h"

#include "models/parts.h"
#include "models/text_model.h"
#include "ops/binary.h"
#include "ops/dropout.h"
#include "ops/jagged.h"
#include "ops/pointwise.h"
#include "ops/shape_ops.h"

namespace winnow {
namespace {

// Small, as embeddings start: the products of fields with one another begin near 0.
constexpr double kFieldInit = 1e-3;

}  // namespace

ClickTextModel::ClickTextModel(const ClickTextOptions& options, const CtrSpec& spec)
    : options_(options), encoder_(&child<TextEncoder>("encoder", options.encoder)) {
  const int64_t width = options_.pair ? encoder_->width() : 3 * encoder_->width();
  if (!options_.pair) norm_ = &child<LayerNorm>("norm", width);
  text_ = options_.ids ? &child<Linear>("text", width, options_.text_fields * options_.ids->embedding_dim, true,
                                        Init::normal(kFieldInit))
                       : &child<Linear>("text", width, 1);
  const int64_t layers = encoder_->options().transformer.num_hidden_layers;
  if (options_.freeze_encoder) freeze_below(encoder_->parameters(), layers + 2, layers);
  if (!options_.ids) return;
  CtrSpec with_text = spec;
  with_text.vectors = options_.text_fields;
  base_ = &adopt("base", make_ctr_model(with_text, *options_.ids));
}

Value ClickTextModel::tower_text(const TowerInputs& in, Loc loc) const {
  const Value item = gather(in.vectors, in.items, loc);
  const Value user = jagged_pool(gather(in.vectors, in.history, loc), in.history_offsets, Pooling::Mean, loc);
  return (*norm_)(concat({user, item, mul(user, item, loc)}, 1, loc), loc);
}

Value ClickTextModel::pair_text(const TokenInputs& in, const StepContext& context, Loc loc) const {
  StepContext of_encoder = context;
  if (options_.freeze_encoder) of_encoder.training = false;
  return encoder_->pooled(in, of_encoder, loc);
}

Value ClickTextModel::logits(Value text, const CtrInputs& in, const StepContext& context, Loc loc) const {
  if (context.training && options_.dropout > 0) text = dropout(text, options_.dropout, context.step, loc);
  const Value y = (*text_)(text, loc);
  if (base_ == nullptr) return squeeze(y);
  CtrInputs with_text = in;
  with_text.vectors = reshape(y, {y.shape()[0], options_.text_fields, options_.ids->embedding_dim}, loc);
  return base_->logits(with_text, context);
}

std::vector<Parameter> ClickTextModel::other_parameters() const {
  std::vector<Parameter> out;
  for (const Parameter& p : parameters())
    if (!p.name().starts_with("encoder.")) out.push_back(p);
  return out;
}

}  // namespace winnow
