// UserItemMLP: user and item embeddings side by side through an MLP (He et al. 2017, the MLP of neural collaborative
// filtering); other features are not read. hidden_units 128, 64 is the usual choice.
#include "models/models.h"
#include "models/parts.h"
#include "ops/shape_ops.h"

namespace winnow {
namespace {

class UserItemMlp final : public CtrModel {
 public:
  UserItemMlp(const CtrSpec& spec, const CtrOptions& options) : user_(spec.user_field), item_(spec.item_field) {
    WN_CHECK(user_ >= 0 && item_ >= 0, ConfigError,
             "model UserItemMLP: the schema needs a user id and an item id feature");
    WN_CHECK(spec.vectors == 0, ConfigError, "model UserItemMLP reads ids alone: texts need another model");
    std::vector<EmbeddingField> fields = fields_of(spec);
    for (int f = 0; f < static_cast<int>(fields.size()); ++f)
      if (f != user_ && f != item_) fields[static_cast<size_t>(f)].rows = 0;
    table_ = &child<EmbeddingTable>("embedding", fields, embedding_options(options, options.embedding_dim));
    deep_ = &child<Mlp>("deep", 2 * options.embedding_dim, mlp_options(options, 1));
  }
  Value logits(const CtrInputs& in, const StepContext& context) const override {
    const Value all = (*table_)(in.ids, in.offsets);  // [B, F, D]
    const Value pair = concat({slice(all, 1, user_, user_ + 1), slice(all, 1, item_, item_ + 1)}, 1);
    return squeeze((*deep_)(flatten_inputs(pair, {}), context));
  }

 private:
  int user_, item_;
  EmbeddingTable* table_;
  Mlp* deep_;
};

}  // namespace

std::unique_ptr<CtrModel> make_user_item_mlp(const CtrSpec& spec, const CtrOptions& options) {
  return std::make_unique<UserItemMlp>(spec, options);
}

}  // namespace winnow
