// Features of a schema: their names, their rules, their entries in a config.
#include <algorithm>
#include <array>
#include <cmath>

#include "core/config.h"
#include "core/text.h"
#include "data/detail/names.h"
#include "data/schema.h"
#include "data/timestamp.h"

namespace winnow {
namespace {

constexpr std::array kTypes = {"categorical", "multi", "numeric", "sequence", "text", "image"};
constexpr std::array kSources = {"user", "item", "context"};
constexpr std::array kNormalizers = {"none", "standard", "log", "log_standard", "min_max", "quantile"};
constexpr std::array kPoolings = {"mean", "sum", "max"};
constexpr std::array kEncodings = {"label", "one_hot"};
constexpr int64_t kMaxImageSide = 256, kMaxQuantiles = 1000;

template <size_t N>
std::vector<std::string> words_of(const std::array<const char*, N>& names) {
  return {names.begin(), names.end()};
}

template <class E, size_t N>
E parse_name(std::string_view text, std::string_view what, const std::array<const char*, N>& names) {
  const auto at = std::ranges::find(names, text, [](const char* name) { return std::string_view(name); });
  WN_CHECK(at != names.end(), ConfigError, "{}: {}{} (known: {})", what, quoted(text),
           did_you_mean(text, words_of(names)), detail::list_of(names));
  return static_cast<E>(at - names.begin());
}

}  // namespace

const char* name_of(FeatureType type) { return kTypes[static_cast<size_t>(type)]; }
const char* name_of(FeatureSource source) { return kSources[static_cast<size_t>(source)]; }
const char* name_of(Normalizer normalizer) { return kNormalizers[static_cast<size_t>(normalizer)]; }
const char* name_of(BagPooling pooling) { return kPoolings[static_cast<size_t>(pooling)]; }
const char* name_of(Encoding encoding) { return kEncodings[static_cast<size_t>(encoding)]; }
FeatureType parse_feature_type(std::string_view text, std::string_view what) {
  return parse_name<FeatureType>(text, what, kTypes);
}
FeatureSource parse_feature_source(std::string_view text, std::string_view what) {
  return parse_name<FeatureSource>(text, what, kSources);
}
Normalizer parse_normalizer(std::string_view text, std::string_view what) {
  return parse_name<Normalizer>(text, what, kNormalizers);
}
BagPooling parse_bag_pooling(std::string_view text, std::string_view what) {
  return parse_name<BagPooling>(text, what, kPoolings);
}
Encoding parse_encoding(std::string_view text, std::string_view what) {
  return parse_name<Encoding>(text, what, kEncodings);
}

namespace {
bool is_cut_number(const FeatureSpec& s) {
  return s.type == FeatureType::Numeric && (s.quantiles > 0 || !s.boundaries.empty());
}
}  // namespace

bool has_bags(const FeatureSpec& s) {
  return s.type == FeatureType::Multi || s.type == FeatureType::Sequence || s.type == FeatureType::Text;
}
bool has_ids(const FeatureSpec& s) {
  return has_bags(s) || is_cut_number(s) || (s.type == FeatureType::Categorical && s.encoding == Encoding::Label);
}
bool reads_numbers(const FeatureSpec& s) { return s.type == FeatureType::Numeric; }
bool has_vocabulary(const FeatureSpec& s) {
  return (s.type == FeatureType::Categorical || has_bags(s)) && s.hash_bucket_size == 0;
}

void check_feature(const FeatureSpec& f) {
  const auto check = [&f]<class... A>(bool holds, fmt::format_string<A...> text, A&&... args) {
    if (!holds) raise<ConfigError>("feature {}: {}", quoted(f.name), fmt::format(text, std::forward<A>(args)...));
  };
  check(!f.column.empty(), "no column is given");
  check(f.min_categr_count >= 1, "min_categr_count {} must be at least 1", f.min_categr_count);
  check(f.max_len >= 1 && f.max_len <= 65536, "max_len {} must be 1 to 65536", f.max_len);
  check(f.hash_bucket_size >= 0 && f.hash_bucket_size < INT32_MAX, "hash_bucket_size {} must be 1 to 2^31 - 2",
        f.hash_bucket_size);
  check(f.hash_bucket_size == 0 || f.min_categr_count == 1,
        "hash_bucket_size {} keeps no vocabulary: min_categr_count means nothing, leave one of them out",
        f.hash_bucket_size);
  check(f.hash_bucket_size == 0 || f.encoding == Encoding::Label, "one_hot needs a vocabulary, not hash_bucket_size");
  check(f.embedding_dim >= 0 && f.embedding_dim <= 1024, "embedding_dim {} must be 1 to 1024", f.embedding_dim);
  const bool cut = f.type == FeatureType::Multi || f.type == FeatureType::Sequence;
  check(!cut || !f.separator.empty(), "an empty separator");
  check(!f.fill_na || !f.fill_na->empty(), "fill_na is empty; leave it out for values that stay missing");
  check(!reads_numbers(f) || !f.fill_na || parse_number(*f.fill_na), "fill_na {} is not a number",
        quoted(f.fill_na.value_or("")));
  check(f.boundaries.empty() || f.quantiles == 0, "boundaries and quantiles: give one of them");
  check(f.quantiles == 0 || (f.quantiles >= 2 && f.quantiles <= kMaxQuantiles), "quantiles {} must be 2 to {}",
        f.quantiles, kMaxQuantiles);
  check(std::ranges::all_of(f.boundaries, [](double x) { return std::isfinite(x); }), "a boundary is not finite");
  check(std::ranges::is_sorted(f.boundaries, std::less_equal<>()), "boundaries must rise: {}",
        fmt::join(f.boundaries, ", "));
  check(f.type != FeatureType::Image || (f.size >= 1 && f.size <= kMaxImageSide), "size {} must be 1 to {}", f.size,
        kMaxImageSide);
}

void check_sharing(const std::vector<FeatureSpec>& features) {
  for (size_t i = 0; i < features.size(); ++i) {
    const FeatureSpec& f = features[i];
    if (f.share_embedding.empty()) continue;
    const auto fail = [&f](const std::string& text) {
      raise<ConfigError>("feature {}: share_embedding {}: {}", quoted(f.name), quoted(f.share_embedding), text);
    };
    const auto at = std::ranges::find(features, f.share_embedding, &FeatureSpec::name);
    if (at == features.end()) fail("there is no such feature");
    if (at - features.begin() >= static_cast<int64_t>(i)) fail("name a feature that comes earlier in the list");
    const FeatureSpec& g = *at;
    if (!g.share_embedding.empty()) fail(fmt::format("it shares the table of {} itself; name that", g.share_embedding));
    const bool texts = (f.type == FeatureType::Text) == (g.type == FeatureType::Text);
    if (!has_ids(f) || !has_ids(g) || reads_numbers(f) || reads_numbers(g) || !texts)
      fail(fmt::format("a {} and a {} feature have no values in common", name_of(f.type), name_of(g.type)));
    const auto agree = [&](const char* key, int64_t mine, int64_t other) {
      if (mine != other) fail(fmt::format("{} is {} here and {} there; they must agree", key, mine, other));
    };
    agree("min_categr_count", f.min_categr_count, g.min_categr_count);
    agree("hash_bucket_size", f.hash_bucket_size, g.hash_bucket_size);
    agree("embedding_dim", f.embedding_dim, g.embedding_dim);
  }
}

namespace {

FeatureSource read_source(const ConfigNode& n, const FeatureSpec& f, const Schema& s) {
  const std::vector<std::string> words = words_of(kSources);
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
    f.normalizer = parse_normalizer(n.choice("normalizer", "standard", words_of(kNormalizers)), n.where());
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
    f.encoding = parse_encoding(n.choice("encoding", "label", words_of(kEncodings)), n.where());
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
  f.pooling = parse_bag_pooling(n.choice("pooling", "mean", words_of(kPoolings)), n.where());
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
  std::vector<std::string> types = words_of(kTypes);
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
