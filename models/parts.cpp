#include "models/parts.h"

#include "ops/pointwise.h"
#include "ops/reduce.h"
#include "ops/shape_ops.h"

namespace winnow {

std::vector<EmbeddingField> fields_of(const CtrSpec& spec) {
  std::vector<EmbeddingField> fields;
  for (const auto& f : spec.fields) fields.push_back({f.rows, f.pooling, f.dim, f.shares});
  return fields;
}

namespace {
// One weight an id, whatever the widths of the embeddings.
std::vector<EmbeddingField> weights_of(const CtrSpec& spec) {
  std::vector<EmbeddingField> fields = fields_of(spec);
  for (EmbeddingField& f : fields) f.dim = 0;
  return fields;
}
}  // namespace

WidePart::WidePart(const CtrSpec& spec, const CtrOptions& options)
    : table_(&child<EmbeddingTable>("table", weights_of(spec), embedding_options(options, 1))),
      bias_(&parameter("bias", {1}, Group::Bias, Init::zeros())) {
  if (spec.dense > 0) dense_ = &child<Linear>("dense", spec.dense, 1, false);
}
Value WidePart::operator()(const CtrInputs& in) const {
  const Value weights = (*table_)(in.ids, in.offsets);  // [B, F, 1]
  Value y = sum(weights, {1, 2});
  if (dense_ != nullptr) y = add(y, squeeze((*dense_)(in.dense)));
  return add(y, in.ids.graph->persistent(bias_->variable));
}

Value embed(const EmbeddingTable& table, const CtrInputs& in) {
  const Value embeddings = table(in.ids, in.offsets);
  return in.vectors ? concat({embeddings, in.vectors}, 1) : embeddings;
}
int64_t embedded_fields(const CtrSpec& spec) { return static_cast<int64_t>(spec.fields.size()) + spec.vectors; }

Value flatten_inputs(Value embeddings, Value dense) {
  const Value flat = reshape(embeddings, {embeddings.shape()[0], embeddings.shape().inner(0)});
  return dense ? concat({flat, dense}, 1) : flat;
}
int64_t flat_width(const CtrSpec& spec, int64_t dim) { return embedded_fields(spec) * dim + spec.dense; }
Value squeeze(Value x) { return reshape(x, {x.shape()[0]}); }

MlpOptions mlp_options(const CtrOptions& o, int64_t output) {
  return {o.hidden_units, o.hidden_activation, o.net_dropout, o.batch_norm, output};
}

}  // namespace winnow
