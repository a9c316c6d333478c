// A text encoder: tokenizer, transformer and pooling. From scratch, or from a directory in the Hugging Face layout
// (docs/encoder.md).
#pragma once
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/config.h"
#include "nn/pretrained.h"
#include "tokenizer/tokenizer.h"

namespace winnow {

// The `encoder:` section of a text job's config.
struct TextEncoderOptions {
  std::string path;                // a Hugging Face or sentence-transformers directory; "": from scratch
  std::string tokenizer;           // vocab.txt, *.model or their folder; "": that of path
  TransformerOptions transformer;  // from scratch (vocab_size is the tokenizer's); of a path only the dropouts, -1:
                                   // those of its config.json
  int64_t max_len = 128;           // tokens of a row, special ones included
  TokenPooling pooling = TokenPooling::Mean;
  bool normalize = false;  // pooled vectors to length 1
};
// Keys: path, tokenizer, max_len, pooling, normalize, hidden_dropout_prob, attention_probs_dropout_prob; without path
// also hidden_size, num_hidden_layers, num_attention_heads, intermediate_size, ..., named as in config.json. From
// scratch the defaults are BERT-mini's (Turc et al. 2019): 4 layers of width 256, a head per 64, 4 x the width within.
TextEncoderOptions read_text_encoder_options(const ConfigNode& encoder);
// As a directory says: its pooling, normalize and max_len (128 where it does not), its dropouts.
TextEncoderOptions published_encoder_options(const std::string& path);

class TextEncoder final : public Module {
 public:
  // IoError, DataError: a file that is absent or broken; a tensor that is missing, unexpected or of another shape.
  // ConfigError: a tokenizer with more tokens than the weights have rows, max_len beyond the learned positions.
  explicit TextEncoder(const TextEncoderOptions& options);
  const TextEncoderOptions& options() const { return options_; }
  const Tokenizer& tokenizer() const { return *tokenizer_; }
  const TransformerEncoder& transformer() const { return *transformer_; }
  int64_t width() const { return options_.transformer.hidden_size; }

  // Rows of texts, or of pairs where `second` is not empty: [CLS] a [SEP] b [SEP], also for RoBERTa, whose own
  // frame of a pair has one more separator. Types are 0 where the transformer has fewer than two.
  JaggedIds encode(std::span<const std::string_view> first, std::span<const std::string_view> second = {}) const;

  Value tokens(const TokenInputs& in, const StepContext& context, Loc loc = Loc::current()) const;  // [T, H]
  Value pooled(const TokenInputs& in, const StepContext& context, Loc loc = Loc::current()) const;  // [B, H]

  // The masked language model head that path's file carries, copied into `head`; false: it carries none.
  bool load_mlm_head(MlmHead& head) const;

  // Writes config.json, model.safetensors, the tokenizer's files and what sentence-transformers reads (modules.json,
  // 1_Pooling/config.json), so that another encoder.path, transformers and sentence-transformers open it. With a head
  // the file is that of a masked language model.
  void save(const std::string& directory, const MlmHead* head = nullptr) const;

 private:
  void initialized() override;
  TextEncoderOptions options_;
  std::string weights_;  // the directory of the published weights; "": from scratch
  PretrainedConfig config_;
  std::shared_ptr<Tokenizer> tokenizer_;
  TransformerEncoder* transformer_ = nullptr;
  std::vector<VariablePtr> parameters_;  // of the transformer, in the order of transformer_links()
};

// The inputs of a batch of token rows, recorded in the order of TokenTensors: ids, types, positions, offsets. prefix
// tells several of one graph apart.
TokenInputs token_inputs(Graph& graph, int64_t rows, int64_t capacity, const std::string& prefix = "");

}  // namespace winnow
