// DNN: an MLP over the concatenated embeddings and numeric features (Covington et al. 2016, the ranking network).
#include "models/models.h"
#include "models/parts.h"

namespace winnow {
namespace {

class Dnn final : public CtrModel {
 public:
  Dnn(const CtrSpec& spec, const CtrOptions& options)
      : table_(&child<EmbeddingTable>("embedding", fields_of(spec), embedding_options(options, options.embedding_dim))),
        deep_(&child<Mlp>("deep", flat_width(spec, options.embedding_dim), mlp_options(options, 1))) {}
  Value logits(const CtrInputs& in, const StepContext& context) const override {
    return squeeze((*deep_)(flatten_inputs(embed(*table_, in), in.dense), context));
  }

 private:
  EmbeddingTable* table_;
  Mlp* deep_;
};

}  // namespace

std::unique_ptr<CtrModel> make_dnn(const CtrSpec& spec, const CtrOptions& options) {
  return std::make_unique<Dnn>(spec, options);
}

}  // namespace winnow
