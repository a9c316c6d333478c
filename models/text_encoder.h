// A text encoder: tokenizer, transformer and pooling. From scratch, or from a directory in the Hugging Face layout.
#pragma once
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/config.h"
#include "nn/transformer.h"
#include "tokenizer/tokenizer.h"

namespace winnow {

// The `encoder:` section of a text job's config.
struct TextEncoderOptions {
  std::string path;                // a Hugging Face or sentence-transformers directory; "": from scratch
  std::string tokenizer;           // vocab.txt, *.model or their folder; "": that of path
  TransformerOptions transformer;  // from scratch; of a path only the dropouts, -1: those of its config.json
  int64_t max_len = 128;           // tokens of a row, special ones included
  TokenPooling pooling = TokenPooling::Mean;
  bool normalize = false;  // pooled vectors to length 1
};
// Keys: path, tokenizer, hidden_size, num_hidden_layers, num_attention_heads, intermediate_size, max_len, pooling, ...
// named as in config.json. pooling and normalize default to what a sentence-transformers directory says.
TextEncoderOptions read_text_encoder_options(const ConfigNode& encoder);

class TextEncoder final : public Module {
 public:
  // IoError, DataError: a file that is absent or broken; a tensor that is missing, unexpected or of another shape.
  explicit TextEncoder(const TextEncoderOptions& options);
  const TextEncoderOptions& options() const { return options_; }
  const Tokenizer& tokenizer() const { return *tokenizer_; }
  const TransformerEncoder& transformer() const { return *transformer_; }
  int64_t width() const { return options_.transformer.hidden_size; }

  // Rows of texts, or of pairs where `second` is not empty.
  JaggedIds encode(std::span<const std::string_view> first, std::span<const std::string_view> second = {}) const;

  Value tokens(const TokenInputs& in, const StepContext& context, Loc loc = Loc::current()) const;  // [T, H]
  Value pooled(const TokenInputs& in, const StepContext& context, Loc loc = Loc::current()) const;  // [B, H]

  // Writes config.json, model.safetensors, the tokenizer's files and what sentence-transformers reads (modules.json,
  // 1_Pooling/config.json), so that another encoder.path, transformers and sentence-transformers open it.
  void save(const std::string& directory) const;

 private:
  void initialized() override;
  TextEncoderOptions options_;
  std::shared_ptr<Tokenizer> tokenizer_;
  TransformerEncoder* transformer_;
};

// The inputs of a batch of token rows, recorded in the order of TokenTensors: ids, types, positions, offsets. prefix
// tells several of one graph apart.
TokenInputs token_inputs(Graph& graph, int64_t rows, int64_t capacity, const std::string& prefix = "");

}  // namespace winnow
