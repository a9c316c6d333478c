// Wide & Deep (Cheng et al. 2016): logistic regression plus an MLP over embeddings and numeric features.
#include "models/models.h"
#include "models/parts.h"
#include "ops/pointwise.h"

namespace winnow {
namespace {

class WideDeep final : public CtrModel {
 public:
  WideDeep(const CtrSpec& spec, const CtrOptions& options)
      : wide_(&child<WidePart>("wide", spec, options)),
        table_(&child<EmbeddingTable>("embedding", fields_of(spec), embedding_options(options, options.embedding_dim))),
        deep_(&child<Mlp>("deep", flat_width(spec, options.embedding_dim), mlp_options(options, 1))) {}
  Value logits(const CtrInputs& in, const StepContext& context) const override {
    const Value x = flatten_inputs(embed(*table_, in), in.dense);
    return add((*wide_)(in), squeeze((*deep_)(x, context)));
  }

 private:
  WidePart* wide_;
  EmbeddingTable* table_;
  Mlp* deep_;
};

}  // namespace

std::unique_ptr<CtrModel> make_wide_deep(const CtrSpec& spec, const CtrOptions& options) {
  return std::make_unique<WideDeep>(spec, options);
}

}  // namespace winnow
