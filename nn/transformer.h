// Transformer encoders and decoders over jagged sequences (Vaswani et al. 2017; BERT: Devlin et al. 2019; GPT: Radford
// et al. 2019). Tokens of all sequences stand one after another in [T, H]; nothing is padded.
#pragma once
#include <string>
#include <vector>

#include "nn/layers.h"
#include "ops/norm.h"

namespace winnow {

struct TransformerOptions {
  enum class Norm : uint8_t { Post, Pre };  // after each residual sum (BERT), or before each sublayer (GPT)
  enum class Positions : uint8_t { Learned, Rotary, None };  // Rotary: ops/rotary.h, on queries and keys
  int64_t vocab_size = 30522;
  int64_t hidden_size = 768;
  int64_t num_hidden_layers = 12;
  int64_t num_attention_heads = 12;
  int64_t intermediate_size = 3072;
  int64_t max_position_embeddings = 512;  // learned positions
  int64_t type_vocab_size = 2;            // 0: no token types
  int64_t position_offset = 0;            // added to a token's place: RoBERTa counts from pad_token_id + 1
  std::string hidden_act = "gelu";        // as activation() of nn/layers.h
  double layer_norm_eps = 1e-12;
  double hidden_dropout_prob = 0.1;           // of embeddings and sublayers
  double attention_probs_dropout_prob = 0.1;  // of attention weights
  double initializer_range = 0.02;            // std of the initial weights
  Norm norm = Norm::Post;
  Positions positions = Positions::Learned;
  double rotary_base = 10000;
  bool causal = false;         // a token sees itself and those before it
  bool embedding_norm = true;  // layer norm and dropout of the embeddings' sum (BERT); GPT: false
};

// A batch of sequences. Places outside every sequence hold -1 and are ignored.
struct TokenInputs {
  Value ids;        // i64 [T]
  Value types;      // i64 [T]; empty: all 0, as with fewer than two types
  Value positions;  // i64 [T]: a token's place in its sequence, from 0
  Value offsets;    // i64 [B + 1]: sequence b is tokens offsets[b] .. offsets[b + 1] - 1
};

// Ba, Kiros, Hinton 2016 over the last axis.
class LayerNorm final : public Module {
 public:
  explicit LayerNorm(int64_t width, double eps = 1e-5);
  Value operator()(Value x, Loc loc = Loc::current()) const;
  // Of x + drop(branch), in one node (ops/norm.h).
  AddNorm operator()(Value x, Value branch, double dropout, const StepContext& context, Loc loc = Loc::current()) const;

 private:
  double eps_;
  Parameter *gamma_, *beta_;
};

class TransformerLayer;

// Embeddings and layers. Parameters: embeddings.word [V, H], embeddings.position, embeddings.type, embeddings.norm,
// layers.N.attention.{qkv, output, norm}, layers.N.ffn.{up, down, norm}; pre-norm: norm, of the last layer's output.
// ConfigError: sizes that do not fit each other, a probability outside [0, 1).
class TransformerEncoder final : public Module {
 public:
  explicit TransformerEncoder(const TransformerOptions& options);
  Value operator()(const TokenInputs& in, const StepContext& context, Loc loc = Loc::current()) const;  // [T, H]
  const TransformerOptions& options() const { return options_; }
  Value word_embedding(Graph& graph) const;  // [V, H], for heads tied to it

 private:
  TransformerOptions options_;
  Parameter *word_, *position_ = nullptr, *type_ = nullptr;
  LayerNorm *embedding_norm_ = nullptr, *last_norm_ = nullptr;
  std::vector<TransformerLayer*> layers_;
};

// Logits of masked tokens: x -> norm(act(linear x)) E^T + bias, E the encoder's word embedding.
class MlmHead final : public Module {
 public:
  explicit MlmHead(const TransformerOptions& options);
  Value operator()(Value hidden, Value word_embedding, Loc loc = Loc::current()) const;  // [M, H] -> [M, V]

 private:
  std::string act_;
  Linear* transform_;
  LayerNorm* norm_;
  Parameter* bias_;
};

// One vector a sequence from its tokens: that of the first token, their mean, or their maximum. An empty sequence gives
// zeros (cls: unspecified).
enum class TokenPooling : uint8_t { Cls, Mean, Max };
Value pool_tokens(Value hidden, Value offsets, TokenPooling pooling, Loc loc = Loc::current());  // [T, H] -> [B, H]

// BERT's pooler: tanh(linear(first token)).
class Pooler final : public Module {
 public:
  explicit Pooler(const TransformerOptions& options);
  Value operator()(Value hidden, Value offsets, Loc loc = Loc::current()) const;

 private:
  Linear* dense_;
};

}  // namespace winnow
