// Vectors of many texts, with an encoder as it is.
#pragma once
#include <functional>
#include <map>
#include <memory>

#include "core/program.h"
#include "data/token_batches.h"
#include "models/text_encoder.h"

namespace winnow {

// Texts are sorted by length and cut into batches of at most max_tokens tokens. What runs is a Program for a capacity
// in tokens, compiled when a batch first needs it and kept; capacities are few, so that a batch fills its own nearly.
// Used by one thread at a time; the encoder must outlive it. Parameters are read at each call unless they are frozen.
class TextVectors {
 public:
  // max_tokens 0: kTokens, or a longest row where that is more. ConfigError: it is below the encoder's max_len.
  static constexpr int64_t kTokens = 1024;
  // frozen: the encoder's parameters never change again; their weights are packed at the first call. Null: they may.
  explicit TextVectors(const TextEncoder& encoder, int64_t max_tokens = 0,
                       std::shared_ptr<FrozenWeights> frozen = nullptr);

  // f32 [texts, H], in their order: TextEncoder::pooled(). A text's vector does not depend on the others but for the
  // rounding of its batch's shape. progress: texts done; false from it ends the call with an undefined tensor.
  Tensor operator()(std::span<const std::string_view> texts, const std::function<bool(int64_t)>& progress = {});
  Tensor operator()(const JaggedIds& rows, const std::function<bool(int64_t)>& progress = {});

 private:
  struct Form {
    Program program;
    TokenTensors batch;
  };
  Form& form(int64_t tokens, int64_t rows);
  void run(const JaggedIds& rows, std::span<const int32_t> batch, int64_t tokens, Tensor& out);

  const TextEncoder& encoder_;
  int64_t max_tokens_;
  std::shared_ptr<FrozenWeights> frozen_;
  std::shared_ptr<Arena> arena_ = std::make_shared<Arena>();
  std::unique_ptr<Stream> stream_ = make_stream({});
  std::map<std::pair<int64_t, int64_t>, Form> forms_;
};

}  // namespace winnow
