#include "core/text.h"
#include "models/models.h"

namespace winnow {
namespace {

using Factory = std::unique_ptr<CtrModel> (*)(const CtrSpec&, const CtrOptions&);
struct Entry {
  const char* name;
  Factory make;
};
constexpr Entry kModels[] = {{"LR", make_lr},
                             {"FM", make_fm},
                             {"DNN", make_dnn},
                             {"UserItemMLP", make_user_item_mlp},
                             {"WideDeep", make_wide_deep},
                             {"DeepFM", make_deepfm},
                             {"DCNv2", make_dcnv2},
                             {"DLRM", make_dlrm}};

}  // namespace

const std::vector<std::string>& ctr_model_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> list;
    for (const Entry& e : kModels) list.emplace_back(e.name);
    return list;
  }();
  return names;
}

std::unique_ptr<CtrModel> make_ctr_model(const CtrSpec& spec, const CtrOptions& options) {
  WN_CHECK(
      !spec.fields.empty(), ConfigError,
      "model {}: no feature gives ids, there is nothing to embed: add a categorical feature such as the user id, or "
      "give a numeric one `boundaries` or `quantiles`",
      options.name);
  for (const Entry& e : kModels)
    if (options.name == e.name) return e.make(spec, options);
  raise<ConfigError>("model.name: there is no model '{}'{} (known: {})", options.name,
                     did_you_mean(options.name, ctr_model_names()), fmt::join(ctr_model_names(), ", "));
}

}  // namespace winnow
