#include "models/ctr_batches.h"

namespace winnow {
namespace {

Pooling pooling_of(BagPooling p) {
  return p == BagPooling::Sum ? Pooling::Sum : p == BagPooling::Max ? Pooling::Max : Pooling::Mean;
}

}  // namespace

CtrSpec ctr_spec(const FeatureMap& map) {
  CtrSpec spec;
  for (size_t f = 0; f < map.fields().size(); ++f) {
    const FeatureSpec& feature = map.field(f).spec;
    const Pooling pooling = has_bags(feature) ? pooling_of(feature.pooling) : Pooling::Sum;
    spec.fields.push_back({feature.name, map.rows(f), pooling, feature.embedding_dim, map.shared_field(f)});
  }
  spec.dense = map.dense_width();
  spec.user_field = map.user_field();
  spec.item_field = map.item_field();
  return spec;
}

BatchValues::BatchValues(Graph& graph, const BatchSpec& spec) {
  for (const auto& input : spec.inputs) {
    const Value v = graph.input(input.name, input.spec);
    if (input.name == "ids") ctr.ids = v;
    if (input.name == "offsets") ctr.offsets = v;
    if (input.name == "dense") ctr.dense = v;
    if (input.name == "label") label = v;
    if (input.name == "weight") weight = v;
  }
}

}  // namespace winnow
