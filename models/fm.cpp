// Factorization machine (Rendle 2010): logistic regression plus the inner products of all pairs of embeddings.
#include "models/models.h"
#include "models/parts.h"
#include "ops/interactions.h"
#include "ops/pointwise.h"

namespace winnow {
namespace {

class FactorizationMachine final : public CtrModel {
 public:
  FactorizationMachine(const CtrSpec& spec, const CtrOptions& options)
      : wide_(&child<WidePart>("wide", spec, options)),
        table_(
            &child<EmbeddingTable>("embedding", fields_of(spec), embedding_options(options, options.embedding_dim))) {}
  Value logits(const CtrInputs& in, const StepContext&) const override {
    return add((*wide_)(in), fm_second_order(embed(*table_, in)));
  }

 private:
  WidePart* wide_;
  EmbeddingTable* table_;
};

}  // namespace

std::unique_ptr<CtrModel> make_fm(const CtrSpec& spec, const CtrOptions& options) {
  return std::make_unique<FactorizationMachine>(spec, options);
}

}  // namespace winnow
