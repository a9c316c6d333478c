// Features of a schema: the names of their kinds, and their rules.
#include <algorithm>
#include <array>
#include <cmath>

#include "core/error.h"
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
  check(f.type == FeatureType::Categorical || f.encoding == Encoding::Label, "one_hot is for categorical features");
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

}  // namespace winnow
