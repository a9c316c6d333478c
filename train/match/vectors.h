// Texts as vectors of length 1: one tower of a dual encoder in inference.
#pragma once
#include <functional>
#include <map>
#include <memory>

#include "core/program.h"
#include "models/dual_encoder.h"

namespace winnow {

class VectorEncoder {
 public:
  // Pooled vectors of a batch of token rows; its parameters are read where they are at each encode().
  using Tower = std::function<Value(const TokenInputs&, const StepContext&)>;
  explicit VectorEncoder(Tower tower, const CompileOptions& options = {});
  // Unit vectors f32 [rows, D], in the order of the rows, which are batched by length. of: only these rows, distinct;
  // the others' vectors are zeros. DataError: no rows.
  Tensor encode(const JaggedIds& rows);
  Tensor encode(const JaggedIds& rows, std::span<const int32_t> of);

 private:
  Program& program(int64_t capacity);
  Tower tower_;
  CompileOptions options_;
  std::map<int64_t, std::pair<std::unique_ptr<Graph>, std::unique_ptr<Program>>> programs_;  // by capacity in tokens
  std::unique_ptr<Stream> stream_;
};

VectorEncoder::Tower query_tower(const DualEncoder& model);
VectorEncoder::Tower item_tower(const DualEncoder& model);

// The first `prefix` elements of each row, brought to length 1; all of them: the vectors themselves.
Tensor prefix_vectors(const Tensor& vectors, int64_t prefix);

}  // namespace winnow
