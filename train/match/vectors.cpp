#include "train/match/vectors.h"

#include <algorithm>

#include "ops/l2_normalize.h"

namespace winnow {
namespace {

constexpr int64_t kTokens = 4096;  // of a batch

// max_len: of the texts' encoder.
TextVectors unit_vectors(const DualEncoder& model, TextVectors::Record record, int64_t max_len,
                         const CompileOptions& options) {
  return {[record = std::move(record)](const TokenInputs& in) { return l2_normalize(record(in)); }, model.width(),
          std::max(kTokens, max_len), options};
}

}  // namespace

TextVectors query_vectors(const DualEncoder& model, const CompileOptions& options) {
  return unit_vectors(
      model, [&model](const TokenInputs& in) { return model.queries(in, {}); }, model.query_encoder().options().max_len,
      options);
}
TextVectors item_vectors(const DualEncoder& model, const CompileOptions& options) {
  return unit_vectors(
      model, [&model](const TokenInputs& in) { return model.items(in, {}); }, model.item_encoder().options().max_len,
      options);
}

Tensor prefix_vectors(const Tensor& vectors, int64_t prefix) {
  const int64_t rows = vectors.shape()[0], width = vectors.shape()[1];
  WN_CHECK(prefix >= 1 && prefix <= width, ConfigError, "vectors of {} elements have no prefix of {}", width, prefix);
  if (prefix == width) return vectors;
  Tensor cut({DType::F32, {rows, prefix}});
  for (int64_t r = 0; r < rows; ++r)
    std::copy_n(vectors.data<float>() + r * width, prefix, cut.data<float>() + r * prefix);
  const Tensor in[] = {cut};
  return run_eager("l2_normalize", in, {{"eps", 1e-12}})[0];
}

}  // namespace winnow
