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
// Used by one thread at a time; what is recorded must outlive it. Parameters are read at each call unless they are
// frozen.
class TextVectors {
 public:
  // max_tokens 0: kTokens, or a longest row where that is more. ConfigError: it is below the encoder's max_len.
  static constexpr int64_t kTokens = 1024;
  // frozen: the encoder's parameters never change again; their weights are packed at the first call. Null: they may.
  explicit TextVectors(const TextEncoder& encoder, int64_t max_tokens = 0,
                       std::shared_ptr<FrozenWeights> frozen = nullptr);
  // Vectors [B, width] of another kind, such as a tower's.
  using Record = std::function<Value(const TokenInputs& in)>;
  TextVectors(Record record, int64_t width, int64_t max_tokens, const CompileOptions& compile = {});

  // f32 [rows, width], in their order; of an encoder: TextEncoder::pooled(). A row's vector does not depend on the
  // others but for the rounding of its batch's shape. progress: rows done; false from it ends the call with an
  // undefined tensor.
  using Progress = std::function<bool(int64_t)>;
  Tensor operator()(const JaggedIds& rows, const Progress& progress = {});
  // Only those of these rows, distinct; the others are zeros.
  Tensor operator()(const JaggedIds& rows, std::span<const int32_t> of, const Progress& progress = {});

 private:
  struct Form {
    Program program;
    TokenTensors batch;
  };
  Form& form(int64_t tokens, int64_t rows);
  void run(const JaggedIds& rows, std::span<const int32_t> batch, int64_t tokens, Tensor& out);

  Record record_;
  int64_t width_, max_tokens_;
  CompileOptions compile_;
  std::unique_ptr<Stream> stream_ = make_stream();
  std::map<std::pair<int64_t, int64_t>, Form> forms_;
};

}  // namespace winnow
