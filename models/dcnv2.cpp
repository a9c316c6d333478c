// DCN-v2 (Wang et al. 2021), parallel form with full-rank cross layers: x_{l+1} = x_0 * (W_l x_l + b_l) + x_l, beside
// an MLP; both ends feed one linear layer.
#include "models/models.h"
#include "models/parts.h"
#include "ops/interactions.h"
#include "ops/shape_ops.h"

namespace winnow {
namespace {

class DcnV2 final : public CtrModel {
 public:
  DcnV2(const CtrSpec& spec, const CtrOptions& options) {
    const int64_t width = flat_width(spec, options.embedding_dim);
    table_ = &child<EmbeddingTable>("embedding", fields_of(spec), embedding_options(options, options.embedding_dim));
    for (int l = 0; l < options.num_cross_layers; ++l)
      cross_.push_back(&child<Linear>(fmt::format("cross.{}", l), width, width));
    if (!options.hidden_units.empty()) deep_ = &child<Mlp>("deep", width, mlp_options(options, 0));
    output_ = &child<Linear>("output", width + (deep_ == nullptr ? 0 : deep_->width()), 1);
  }
  Value logits(const CtrInputs& in, const StepContext& context) const override {
    const Value x0 = flatten_inputs(embed(*table_, in), in.dense);
    Value x = x0;
    for (const Linear* layer : cross_) x = cross_v2(x0, (*layer)(x), x);
    if (deep_ != nullptr) x = concat({(*deep_)(x0, context), x}, 1);
    return squeeze((*output_)(x));
  }

 private:
  EmbeddingTable* table_;
  std::vector<Linear*> cross_;
  Mlp* deep_ = nullptr;
  Linear* output_;
};

}  // namespace

std::unique_ptr<CtrModel> make_dcnv2(const CtrSpec& spec, const CtrOptions& options) {
  return std::make_unique<DcnV2>(spec, options);
}

}  // namespace winnow
