// DeepFM (Guo et al. 2017): a factorization machine and an MLP over the same embeddings.
#include "models/models.h"
#include "models/parts.h"
#include "ops/interactions.h"
#include "ops/pointwise.h"

namespace winnow {
namespace {

class DeepFm final : public CtrModel {
 public:
  DeepFm(const CtrSpec& spec, const CtrOptions& options)
      : wide_(&child<WidePart>("wide", spec, options)),
        table_(&child<EmbeddingTable>("embedding", fields_of(spec), embedding_options(options, options.embedding_dim))),
        deep_(&child<Mlp>("deep", flat_width(spec, options.embedding_dim), mlp_options(options, 1))) {}
  Value logits(const CtrInputs& in, const StepContext& context) const override {
    const Value embeddings = embed(*table_, in);
    const Value first = add((*wide_)(in), fm_second_order(embeddings));
    return add(first, squeeze((*deep_)(flatten_inputs(embeddings, in.dense), context)));
  }

 private:
  WidePart* wide_;
  EmbeddingTable* table_;
  Mlp* deep_;
};

}  // namespace

std::unique_ptr<CtrModel> make_deepfm(const CtrSpec& spec, const CtrOptions& options) {
  return std::make_unique<DeepFm>(spec, options);
}

}  // namespace winnow
