#include "models/dual_encoder.h"

#include <nlohmann/json.hpp>

#include "core/file.h"
#include "core/safetensors.h"

namespace winnow {
namespace {

TextEncoderOptions read_tower(const ConfigNode& root, const char* section, int64_t projection) {
  TextEncoderOptions o = read_text_encoder_options(root.child(section));
  // Vectors are compared by their cosine, so that they have length 1 whatever the section says; behind a projection it
  // is the projected ones that have it.
  o.normalize = projection == 0;
  return o;
}

// The directory as one of sentence-transformers, around encoder/: behind the pooling a linear map, then length 1.
void save_projection(const std::string& directory, const Tensor& weight) {
  using Json = nlohmann::json;
  const int64_t in = weight.shape()[0], out = weight.shape()[1];
  Tensor transposed({DType::F32, {out, in}});
  for (int64_t i = 0; i < in; ++i)
    for (int64_t o = 0; o < out; ++o) transposed.data<float>()[o * in + i] = weight.data<float>()[i * out + o];
  make_directories(directory + "/2_Dense");
  save_safetensors(directory + "/2_Dense/model.safetensors", {{"linear.weight", transposed}}, {{"format", "pt"}});
  const Json dense{{"in_features", in},
                   {"out_features", out},
                   {"bias", false},
                   {"activation_function", "torch.nn.modules.linear.Identity"}};
  write_atomically(directory + "/2_Dense/config.json", dense.dump(2) + "\n");
  Json modules = Json::array();
  const auto add = [&](const char* path, const char* type) {
    modules.push_back({{"idx", modules.size()},
                       {"name", std::to_string(modules.size())},
                       {"path", path},
                       {"type", fmt::format("sentence_transformers.models.{}", type)}});
  };
  add("encoder", "Transformer");
  add("encoder/1_Pooling", "Pooling");
  add("2_Dense", "Dense");
  add("3_Normalize", "Normalize");
  write_atomically(directory + "/modules.json", modules.dump(2) + "\n");
}

}  // namespace

DualEncoderOptions read_dual_encoder_options(const ConfigNode& root) {
  DualEncoderOptions o;
  o.projection = root.child("model").get("projection", o.projection, between(0, 65536));
  o.two_towers = root.has("item_encoder");
  o.query = read_tower(root, "encoder", o.projection);
  if (o.two_towers) o.item = read_tower(root, "item_encoder", o.projection);
  return o;
}

DualEncoder::DualEncoder(const DualEncoderOptions& options)
    : options_(options), query_(&child<TextEncoder>("encoder", options.query)), item_(query_) {
  if (options_.two_towers) item_ = &child<TextEncoder>("item_encoder", options.item);
  WN_CHECK(options_.projection > 0 || query_->width() == item_->width(), ConfigError,
           "model: the towers' vectors have {} and {} elements; set model.projection to bring them to one width",
           query_->width(), item_->width());
  if (options_.projection == 0) return;
  query_map_ = item_map_ = &child<Linear>("projection", query_->width(), options_.projection, false);
  if (options_.two_towers) item_map_ = &child<Linear>("item_projection", item_->width(), options_.projection, false);
}

int64_t DualEncoder::width() const { return options_.projection > 0 ? options_.projection : query_->width(); }

Value DualEncoder::project(Value pooled, const Linear* map, Loc loc) const {
  return map == nullptr ? pooled : (*map)(pooled, loc);
}
Value DualEncoder::queries(const TokenInputs& in, const StepContext& context, Loc loc) const {
  return project(query_->pooled(in, context, loc), query_map_, loc);
}
Value DualEncoder::items(const TokenInputs& in, const StepContext& context, Loc loc) const {
  return project(item_->pooled(in, context, loc), item_map_, loc);
}

std::vector<Parameter> DualEncoder::head() const {
  std::vector<Parameter> maps;
  for (const Parameter& p : parameters())
    if (p.name().starts_with("projection.") || p.name().starts_with("item_projection.")) maps.push_back(p);
  return maps;
}

void DualEncoder::save(const std::string& directory) const {
  query_->save(directory + "/encoder");
  if (two_towers()) item_->save(directory + "/item_encoder");
  if (query_map_ != nullptr) save_projection(directory, head().front().value().on({}));
}

}  // namespace winnow
