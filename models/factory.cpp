#include <algorithm>
#include <map>

#include "core/file.h"
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

struct Models {
  std::vector<std::string> names;
  std::map<std::string, CtrModelDef> registered;
};

Models& models() {
  static Models all = [] {
    Models m;
    for (const Entry& e : kModels) m.names.emplace_back(e.name);
    return m;
  }();
  return all;
}

}  // namespace

const std::vector<std::string>& ctr_model_names() { return models().names; }

void register_model(CtrModelDef def) {
  WN_CHECK(is_plain_name(def.name) && def.make, ConfigError,
           "register_model: model {} needs a name of letters, digits, '_', '.', '-' and a factory", quoted(def.name));
  WN_CHECK(std::ranges::find(models().names, def.name) == models().names.end(), ConfigError,
           "register_model: there is a model '{}' already", def.name);
  models().names.push_back(def.name);
  models().registered.emplace(def.name, std::move(def));
}

const CtrModelDef* find_registered_model(const std::string& name) {
  const auto at = models().registered.find(name);
  return at == models().registered.end() ? nullptr : &at->second;
}

std::unique_ptr<CtrModel> make_ctr_model(const CtrSpec& spec, const CtrOptions& options) {
  WN_CHECK(
      !spec.fields.empty(), ConfigError,
      "model {}: no feature gives ids, there is nothing to embed: add a categorical feature such as the user id, or "
      "give a numeric one `boundaries` or `quantiles`",
      options.name);
  if (const CtrModelDef* own = find_registered_model(options.name)) return own->make(spec, options);
  for (const Entry& e : kModels)
    if (options.name == e.name) return e.make(spec, options);
  raise<ConfigError>("model.name: there is no model '{}'{} (known: {})", options.name,
                     did_you_mean(options.name, ctr_model_names()), fmt::join(ctr_model_names(), ", "));
}

CtrOptions read_ctr_options(const ConfigNode& n) {
  CtrOptions o;
  o.name = n.choice("name", "DeepFM", ctr_model_names());
  o.embedding_dim = n.get("embedding_dim", o.embedding_dim, between(1, 1024));
  o.embedding_init_std = n.get("embedding_init_std", o.embedding_init_std, at_least(0));
  o.embedding_dtype = n.choice("embedding_dtype", "f32", {"f32", "bf16"}) == "bf16" ? DType::BF16 : DType::F32;
  o.hidden_units = n.get("hidden_units", o.hidden_units, between(1, 65536));
  o.hidden_activation = n.choice("hidden_activation", "relu",
                                 {"relu", "leaky_relu", "gelu", "gelu_tanh", "silu", "sigmoid", "tanh", "none"});
  o.net_dropout = n.get("net_dropout", o.net_dropout, fraction());
  o.batch_norm = n.get("batch_norm", o.batch_norm);
  o.num_cross_layers = n.get("num_cross_layers", o.num_cross_layers, between(0, 64));
  o.bottom_units = n.get("bottom_units", o.bottom_units, between(1, 65536));
  if (const CtrModelDef* own = find_registered_model(o.name); own != nullptr && own->read) o.own = own->read(n);
  return o;
}

}  // namespace winnow
