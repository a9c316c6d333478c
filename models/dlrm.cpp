// DLRM (Naumov et al. 2019): numeric features through a bottom MLP to one more embedding, inner products of all pairs,
// a top MLP over both. Without numeric features there is no bottom MLP and the top one reads the inner products alone.
#include "models/models.h"
#include "models/parts.h"
#include "ops/interactions.h"
#include "ops/shape_ops.h"

namespace winnow {
namespace {

class Dlrm final : public CtrModel {
 public:
  Dlrm(const CtrSpec& spec, const CtrOptions& options) : dim_(options.embedding_dim) {
    const auto fields = embedded_fields(spec) + (spec.dense > 0 ? 1 : 0);
    WN_CHECK(fields >= 2, ConfigError, "model DLRM: needs two features or more to interact, the schema gives {}",
             fields);
    table_ = &child<EmbeddingTable>("embedding", fields_of(spec), embedding_options(options, dim_));
    if (spec.dense > 0) {
      MlpOptions bottom = mlp_options(options, 0);
      bottom.hidden_units = options.bottom_units;
      bottom.hidden_units.push_back(dim_);
      bottom_ = &child<Mlp>("bottom", spec.dense, bottom);
    }
    top_ = &child<Mlp>("top", fields * (fields - 1) / 2 + (spec.dense > 0 ? dim_ : 0), mlp_options(options, 1));
  }
  Value logits(const CtrInputs& in, const StepContext& context) const override {
    Value x = embed(*table_, in);
    if (bottom_ == nullptr) return squeeze((*top_)(dot_interaction(x), context));
    const Value z = (*bottom_)(in.dense, context);
    x = concat({reshape(z, {z.shape()[0], 1, dim_}), x}, 1);
    return squeeze((*top_)(concat({z, dot_interaction(x)}, 1), context));
  }

 private:
  int64_t dim_;
  EmbeddingTable* table_;
  Mlp* bottom_ = nullptr;
  Mlp* top_;
};

}  // namespace

std::unique_ptr<CtrModel> make_dlrm(const CtrSpec& spec, const CtrOptions& options) {
  return std::make_unique<Dlrm>(spec, options);
}

}  // namespace winnow
