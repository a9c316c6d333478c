// Pieces that several click models share.
#pragma once
#include "models/ctr.h"

namespace winnow {

// The tables of all fields, as every model but LR wants them.
inline EmbeddingOptions embedding_options(const CtrOptions& o, int64_t dim) {
  return {dim, Init::normal(o.embedding_init_std), o.embedding_dtype};
}
std::vector<EmbeddingField> fields_of(const CtrSpec& spec);

// Logistic regression: sum of one weight per id, plus a linear map of the numeric features, plus a bias -> [B].
class WidePart final : public Module {
 public:
  explicit WidePart(const CtrSpec& spec, const CtrOptions& options);
  Value operator()(const CtrInputs& in) const;

 private:
  EmbeddingTable* table_;
  Linear* dense_ = nullptr;
  Parameter* bias_;
};

// The embeddings of a row's fields, then its vectors -> [B, F + V, D].
Value embed(const EmbeddingTable& table, const CtrInputs& in);
int64_t embedded_fields(const CtrSpec& spec);  // F + V

// [B, F, D] embeddings and [B, N] numeric features side by side -> [B, F D + N].
Value flatten_inputs(Value embeddings, Value dense);
int64_t flat_width(const CtrSpec& spec, int64_t dim);
Value squeeze(Value x);  // [B, 1] -> [B]
MlpOptions mlp_options(const CtrOptions& options, int64_t output);

}  // namespace winnow
