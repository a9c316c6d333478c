#include "nn/transformer.h"

#include "ops/binary.h"
#include "ops/dropout.h"
#include "ops/jagged.h"
#include "ops/jagged_attention.h"
#include "ops/matmul.h"
#include "ops/pointwise.h"
#include "ops/rotary.h"
#include "ops/shape_ops.h"

namespace winnow {
namespace {

Init initial(const TransformerOptions& o) { return Init::normal(o.initializer_range); }

Value drop(Value x, double p, const StepContext& context, Loc loc) {
  return context.training && p > 0 ? dropout(x, p, context.step, loc) : x;
}

void check(const TransformerOptions& o) {
  WN_CHECK(o.vocab_size > 0 && o.hidden_size > 0 && o.num_hidden_layers >= 0 && o.intermediate_size > 0, ConfigError,
           "transformer: vocab_size {}, hidden_size {}, num_hidden_layers {} and intermediate_size {} must be positive",
           o.vocab_size, o.hidden_size, o.num_hidden_layers, o.intermediate_size);
  WN_CHECK(o.num_attention_heads > 0 && o.hidden_size % o.num_attention_heads == 0, ConfigError,
           "transformer: hidden_size {} is not a multiple of num_attention_heads {}", o.hidden_size,
           o.num_attention_heads);
  WN_CHECK(o.positions != TransformerOptions::Positions::Rotary || o.hidden_size / o.num_attention_heads % 2 == 0,
           ConfigError, "transformer: rotary positions turn pairs: heads of width {} are not even",
           o.hidden_size / o.num_attention_heads);
  for (const double p : {o.hidden_dropout_prob, o.attention_probs_dropout_prob})
    WN_CHECK(p >= 0 && p < 1, ConfigError, "transformer: dropout {} is not in [0, 1)", p);
  WN_CHECK(o.positions != TransformerOptions::Positions::Learned || o.max_position_embeddings > o.position_offset,
           ConfigError, "transformer: max_position_embeddings {} leaves no place after position_offset {}",
           o.max_position_embeddings, o.position_offset);
}

}  // namespace

LayerNorm::LayerNorm(int64_t width, double eps)
    : eps_(eps),
      gamma_(&parameter("gamma", {width}, Group::Norm, Init::ones())),
      beta_(&parameter("beta", {width}, Group::Norm, Init::zeros())) {}
Value LayerNorm::operator()(Value x, Loc loc) const {
  Graph& g = *x.graph;
  return layer_norm(x, g.persistent(gamma_->variable), g.persistent(beta_->variable), eps_, loc);
}
AddNorm LayerNorm::operator()(Value x, Value branch, double dropout, const StepContext& context, Loc loc) const {
  Graph& g = *x.graph;
  AddNormOptions options{.eps = eps_};
  if (context.training && dropout > 0) options.dropout = dropout, options.step = context.step;
  return add_layer_norm(x, branch, g.persistent(gamma_->variable), g.persistent(beta_->variable), options, loc);
}

namespace {

class Attention final : public Module {
 public:
  explicit Attention(const TransformerOptions& o)
      : options_(o),
        qkv_(&child<Linear>("qkv", o.hidden_size, 3 * o.hidden_size, true, initial(o))),
        output_(&child<Linear>("output", o.hidden_size, o.hidden_size, true, initial(o))),
        norm_(&child<LayerNorm>("norm", o.hidden_size, o.layer_norm_eps)) {}
  Value operator()(Value x, const TokenInputs& in, const StepContext& context, Loc loc) const {
    AttentionOptions a;
    a.heads = options_.num_attention_heads;
    a.causal = options_.causal;
    if (context.training && options_.attention_probs_dropout_prob > 0) {
      a.dropout = options_.attention_probs_dropout_prob;
      a.step = context.step;
    }
    Value qkv = (*qkv_)(x, loc);
    if (options_.positions == TransformerOptions::Positions::Rotary)
      qkv = rotary(qkv, in.positions, options_.num_attention_heads, options_.rotary_base, loc);
    return (*output_)(jagged_attention(qkv, in.offsets, a, loc), loc);
  }
  const LayerNorm& norm() const { return *norm_; }

 private:
  const TransformerOptions& options_;
  Linear *qkv_, *output_;
  LayerNorm* norm_;
};

class FeedForward final : public Module {
 public:
  explicit FeedForward(const TransformerOptions& o)
      : act_(o.hidden_act),
        up_(&child<Linear>("up", o.hidden_size, o.intermediate_size, true, initial(o))),
        down_(&child<Linear>("down", o.intermediate_size, o.hidden_size, true, initial(o))),
        norm_(&child<LayerNorm>("norm", o.hidden_size, o.layer_norm_eps)) {}
  Value operator()(Value x, Loc loc) const { return (*down_)(activation(act_, (*up_)(x, loc), loc), loc); }
  const LayerNorm& norm() const { return *norm_; }

 private:
  std::string act_;
  Linear *up_, *down_;
  LayerNorm* norm_;
};

}  // namespace

class TransformerLayer final : public Module {
 public:
  explicit TransformerLayer(const TransformerOptions& o)
      : options_(o), attention_(&child<Attention>("attention", o)), ffn_(&child<FeedForward>("ffn", o)) {}
  const LayerNorm& first_norm() const { return attention_->norm(); }
  // Post-norm: the normalised sum is what goes on.
  Value operator()(Value x, const TokenInputs& in, const StepContext& context, Loc loc) const {
    const double p = options_.hidden_dropout_prob;
    x = attention_->norm()(x, (*attention_)(x, in, context, loc), p, context, loc).y;
    return ffn_->norm()(x, (*ffn_)(x, loc), p, context, loc).y;
  }
  // Pre-norm: x.y is first_norm() of x.sum; `next` that of the next layer, or the last norm.
  AddNorm operator()(AddNorm x, const LayerNorm& next, const TokenInputs& in, const StepContext& context,
                     Loc loc) const {
    const double p = options_.hidden_dropout_prob;
    x = ffn_->norm()(x.sum, (*attention_)(x.y, in, context, loc), p, context, loc);
    return next(x.sum, (*ffn_)(x.y, loc), p, context, loc);
  }

 private:
  const TransformerOptions& options_;
  Attention* attention_;
  FeedForward* ffn_;
};

TransformerEncoder::TransformerEncoder(const TransformerOptions& options) : options_(options) {
  check(options_);
  const TransformerOptions& o = options_;
  using Positions = TransformerOptions::Positions;
  word_ = &parameter("embeddings.word", {o.vocab_size, o.hidden_size}, Group::Weight, initial(o));
  if (o.positions == Positions::Learned)
    position_ =
        &parameter("embeddings.position", {o.max_position_embeddings, o.hidden_size}, Group::Weight, initial(o));
  if (o.type_vocab_size > 0)
    type_ = &parameter("embeddings.type", {o.type_vocab_size, o.hidden_size}, Group::Weight, initial(o));
  if (o.embedding_norm) embedding_norm_ = &child<LayerNorm>("embeddings.norm", o.hidden_size, o.layer_norm_eps);
  for (int64_t n = 0; n < o.num_hidden_layers; ++n)
    layers_.push_back(&child<TransformerLayer>(fmt::format("layers.{}", n), options_));
  if (o.norm == TransformerOptions::Norm::Pre) last_norm_ = &child<LayerNorm>("norm", o.hidden_size, o.layer_norm_eps);
}

Value TransformerEncoder::word_embedding(Graph& graph) const { return graph.persistent(word_->variable); }

Value TransformerEncoder::operator()(const TokenInputs& in, const StepContext& context, Loc loc) const {
  Graph& g = *in.ids.graph;
  Value x = gather(word_embedding(g), in.ids, loc);
  if (position_ != nullptr) {
    Value table = g.persistent(position_->variable);
    if (options_.position_offset > 0)
      table = slice(table, 0, options_.position_offset, options_.max_position_embeddings, loc);
    x = add(x, gather(table, in.positions, loc), loc);
  }
  if (type_ != nullptr) {
    const Value table = g.persistent(type_->variable);
    const bool one = !in.types || options_.type_vocab_size == 1;
    x = add(x, one ? slice(table, 0, 0, 1, loc) : gather(table, in.types, loc), loc);
  }
  if (embedding_norm_ != nullptr) x = (*embedding_norm_)(x, loc);
  x = drop(x, options_.hidden_dropout_prob, context, loc);
  if (options_.norm == TransformerOptions::Norm::Post) {
    for (const TransformerLayer* layer : layers_) x = (*layer)(x, in, context, loc);
    return x;
  }
  AddNorm pre{layers_.empty() ? (*last_norm_)(x, loc) : layers_[0]->first_norm()(x, loc), x};
  for (size_t n = 0; n < layers_.size(); ++n)
    pre = (*layers_[n])(pre, n + 1 < layers_.size() ? layers_[n + 1]->first_norm() : *last_norm_, in, context, loc);
  return pre.y;
}

MlmHead::MlmHead(const TransformerOptions& o)
    : act_(o.hidden_act),
      transform_(&child<Linear>("transform", o.hidden_size, o.hidden_size, true, initial(o))),
      norm_(&child<LayerNorm>("norm", o.hidden_size, o.layer_norm_eps)),
      bias_(&parameter("bias", {o.vocab_size}, Group::Bias, Init::zeros())) {}
Value MlmHead::operator()(Value hidden, Value word_embedding, Loc loc) const {
  const Value x = (*norm_)(activation(act_, (*transform_)(hidden, loc), loc), loc);
  return add(matmul(x, word_embedding, false, true, loc), hidden.graph->persistent(bias_->variable), loc);
}

Value pool_tokens(Value hidden, Value offsets, TokenPooling pooling, Loc loc) {
  if (pooling != TokenPooling::Cls)
    return jagged_pool(hidden, offsets, pooling == TokenPooling::Mean ? Pooling::Mean : Pooling::Max, loc);
  return gather(hidden, slice(offsets, 0, 0, offsets.shape()[0] - 1, loc), loc);
}

Pooler::Pooler(const TransformerOptions& o)
    : dense_(&child<Linear>("dense", o.hidden_size, o.hidden_size, true, initial(o))) {}
Value Pooler::operator()(Value hidden, Value offsets, Loc loc) const {
  return tanh((*dense_)(pool_tokens(hidden, offsets, TokenPooling::Cls, loc), loc), loc);
}

}  // namespace winnow
