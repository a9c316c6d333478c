// Entries of `features` in a config.
#include "core/config.h"
#include "core/text.h"
#include "data/schema.h"

namespace winnow {
namespace {

template <class E>
std::vector<std::string> names_of(E last) {
  std::vector<std::string> names;
  for (int i = 0; i <= static_cast<int>(last); ++i) names.emplace_back(name_of(static_cast<E>(i)));
  return names;
}

FeatureSource read_source(const ConfigNode& n, const FeatureSpec& f, const Schema& s) {
  const std::vector<std::string> words = names_of<FeatureSource>(FeatureSource::Context);
  const char* natural = f.column == s.user_id ? "user" : f.column == s.item_id ? "item" : nullptr;
  const std::string text = natural != nullptr ? n.choice("source", natural, words) : n.require_choice("source", words);
  return parse_feature_source(text, n.where());
}

void read_numeric(const ConfigNode& n, FeatureSpec& f) {
  if (n.has("boundaries")) f.boundaries = n.require<std::vector<double>>("boundaries");
  if (n.has("quantiles")) f.quantiles = n.require<int64_t>("quantiles", between(2, kMaxQuantiles));
  if (has_ids(f))
    f.embedding_dim = n.get("embedding_dim", f.embedding_dim, between(0, 1024));
  else
    f.normalizer =
        parse_normalizer(n.choice("normalizer", "standard", names_of<Normalizer>(Normalizer::Quantile)), n.where());
}

void read_image(const ConfigNode& n, const Schema& s, FeatureSpec& f) {
  f.size = n.get<int64_t>("size", 8, between(1, kMaxImageSide));
  const bool user = f.source == FeatureSource::User, item = f.source == FeatureSource::Item;
  const TableSpec& side = user ? s.users : s.items;
  const std::string& table = (user || item) && side.source.given() ? side.source.path : s.interactions.source.path;
  const size_t slash = table.rfind('/');
  f.folder = n.get("folder", slash == std::string::npos ? "." : table.substr(0, std::max<size_t>(slash, 1)));
}

// What features with a vocabulary or hashed ids have.
void read_ids(const ConfigNode& n, int64_t min_categr_count, FeatureSpec& f) {
  if (f.type == FeatureType::Categorical)
    f.encoding = parse_encoding(n.choice("encoding", "label", names_of<Encoding>(Encoding::OneHot)), n.where());
  if (f.encoding == Encoding::Label) {
    if (n.has("hash_bucket_size"))
      f.hash_bucket_size = n.require<int64_t>("hash_bucket_size", between(1, INT32_MAX - 1));
    f.embedding_dim = n.get("embedding_dim", f.embedding_dim, between(0, 1024));
    f.share_embedding = n.get("share_embedding", f.share_embedding);
  }
  if (f.hash_bucket_size == 0) f.min_categr_count = n.get("min_categr_count", min_categr_count, at_least(1));
  if (!has_bags(f)) return;
  f.max_len = n.require<int64_t>("max_len", between(1, 65536));
  if (f.type != FeatureType::Text) f.separator = n.get("separator", f.separator);
  f.pooling = parse_bag_pooling(n.choice("pooling", "mean", names_of<BagPooling>(BagPooling::Max)), n.where());
}

void only_once(const ConfigNode& n, const char* key, bool given) {
  if (given) n.fail(fmt::format("the {} is given twice: by the key `{}` or by one feature of this type", key, key));
}

// A column with a role of its own instead of a feature; false when the entry is none.
bool read_role(const ConfigNode& n, const std::string& type, const std::string& name, Schema& s) {
  if (type == "label") {
    only_once(n, "label", s.label.has_value());
    try {
      s.label = parse_rule(n.get("column", name), n.get("rule", ""));
    } catch (const ConfigError& e) { n.fail(e.what()); }
  } else if (type == "weight") {
    only_once(n, "weight", !s.weight.empty());
    s.weight = n.get("column", name);
  } else if (type == "timestamp") {
    only_once(n, "timestamp", !s.timestamp.empty());
    s.timestamp = n.get("column", name);
    s.time_format = n.get("format", s.time_format);
  } else {
    return false;
  }
  return true;
}

}  // namespace

void read_feature(const ConfigNode& n, int64_t min_categr_count, Schema& s) {
  FeatureSpec f;
  f.name = n.require<std::string>("name");
  std::vector<std::string> types = names_of<FeatureType>(FeatureType::Image);
  for (const char* role : {"label", "weight", "timestamp"}) types.emplace_back(role);
  const std::string type = n.choice("type", "categorical", types);
  if (read_role(n, type, f.name, s)) return;
  f.type = parse_feature_type(type, n.where());
  f.column = n.get("column", f.name);
  f.source = read_source(n, f, s);
  if (f.type == FeatureType::Numeric)
    read_numeric(n, f);
  else if (f.type == FeatureType::Image)
    read_image(n, s, f);
  else
    read_ids(n, min_categr_count, f);
  if (f.type != FeatureType::Image) f.fill_na = n.find<std::string>("fill_na");
  s.features.push_back(std::move(f));
}

}  // namespace winnow
