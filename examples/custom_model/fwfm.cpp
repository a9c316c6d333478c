// Field-weighted factorization machine (Pan et al. 2018): logistic regression plus the inner products of all pairs of
// embeddings, each pair of fields with a weight of its own.
#include "models/parts.h"
#include "ops/pointwise.h"
#include "ours.h"

using namespace winnow;

namespace {

class Fwfm final : public CtrModel {
 public:
  Fwfm(const CtrSpec& spec, const CtrOptions& options, double pair_init)
      : wide_(&child<WidePart>("wide", spec, options)),
        table_(
            &child<EmbeddingTable>("embedding", fields_of(spec), embedding_options(options, options.embedding_dim))) {
    const auto fields = static_cast<int64_t>(spec.fields.size());
    pairs_ = &parameter("pairs", {fields * (fields - 1) / 2}, Group::Weight, Init::normal(pair_init));
  }
  Value logits(const CtrInputs& in, const StepContext&) const override {
    const Value weights = in.ids.graph->persistent(pairs_->variable);
    return add((*wide_)(in), field_pairs((*table_)(in.ids, in.offsets), weights));
  }

 private:
  WidePart* wide_;
  EmbeddingTable* table_;
  Parameter* pairs_;
};

}  // namespace

void register_fwfm() {
  register_model({.name = "FwFM",
                  .make =
                      [](const CtrSpec& spec, const CtrOptions& options) {
                        const auto* std = std::any_cast<double>(&options.own);
                        return std::make_unique<Fwfm>(spec, options, std == nullptr ? 1.0 : *std);
                      },
                  .read = [](const ConfigNode& model) { return model.get("pair_init_std", 1.0, more_than(0)); }});
}
