// feature_map.json, read. It comes with a model from anywhere, so it is read as foreign input: event by event, without
// a tree of the whole text, and every value is checked.
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <variant>

#include "core/error.h"
#include "core/file.h"
#include "core/text.h"
#include "data/detail/feature_map_format.h"
#include "data/feature_map.h"

namespace winnow {
namespace {

constexpr size_t kMaxBytes = size_t{4} << 30;

// The members of one feature as they come; taking one marks it as known.
class Members {
 public:
  using Scalar = std::variant<std::string, int64_t, double>;
  void set(const std::string& key, Scalar value) { insert(scalars_, key) = std::move(value); }
  std::vector<double>& start_numbers(const std::string& key) { return insert(lists_, key); }
  Vocabulary& start_vocabulary() { return insert(vocabularies_, "vocabulary"); }

  bool has(const std::string& key) const { return scalars_.contains(key); }
  std::string text(const std::string& key) { return take<std::string>(key, "a text"); }
  int64_t integer(const std::string& key) { return take<int64_t>(key, "an integer"); }
  double number(const std::string& key) {
    if (const auto at = scalars_.find(key); at != scalars_.end() && std::holds_alternative<int64_t>(at->second))
      return static_cast<double>(integer(key));
    return take<double>(key, "a number");
  }
  std::vector<double> numbers(const std::string& key) { return take_from(lists_, key); }
  Vocabulary vocabulary() { return take_from(vocabularies_, "vocabulary"); }
  void finish() const {
    const auto refuse = [](const auto& rest) {
      WN_CHECK(rest.empty(), DataError, "unknown key {}", winnow::quoted(rest.begin()->first));
    };
    refuse(scalars_), refuse(lists_), refuse(vocabularies_);
  }

 private:
  template <class T>
  static T& insert(std::map<std::string, T>& map, const std::string& key) {
    const auto [at, added] = map.try_emplace(key);
    WN_CHECK(added, DataError, "key {} twice", winnow::quoted(key));
    WN_CHECK(map.size() <= 32, DataError, "unknown keys such as {}", winnow::quoted(key));
    return at->second;
  }
  template <class T>
  static T take_from(std::map<std::string, T>& map, const std::string& key) {
    const auto at = map.find(key);
    WN_CHECK(at != map.end(), DataError, "key {} is missing", winnow::quoted(key));
    T value = std::move(at->second);
    map.erase(at);
    return value;
  }
  template <class T>
  T take(const std::string& key, const char* expected) {
    Scalar value = take_from(scalars_, key);
    WN_CHECK(std::holds_alternative<T>(value), DataError, "{}: expected {}", key, expected);
    return std::get<T>(std::move(value));
  }
  std::map<std::string, Scalar> scalars_;
  std::map<std::string, std::vector<double>> lists_;
  std::map<std::string, Vocabulary> vocabularies_;
};

bool rises(const std::vector<double>& list) {
  for (size_t i = 0; i < list.size(); ++i)
    if (!std::isfinite(list[i]) || (i > 0 && !(list[i - 1] < list[i]))) return false;
  return true;
}

void read_number(Members& m, FittedFeature& f) {
  FeatureSpec& s = f.spec;
  if (!m.has("normalizer")) {
    if (m.has("quantiles")) s.quantiles = m.integer("quantiles");
    if (m.has("embedding_dim")) s.embedding_dim = m.integer("embedding_dim");
    f.boundaries = m.numbers("boundaries");
    WN_CHECK(rises(f.boundaries), DataError, "boundaries must be finite and rise");
    WN_CHECK(s.quantiles > 0 || !f.boundaries.empty(), DataError, "no boundaries");
    if (s.quantiles == 0) s.boundaries = f.boundaries;
    return;
  }
  s.normalizer = parse_normalizer(m.text("normalizer"), "normalizer");
  f.mean = m.number("mean");
  f.deviation = m.number("deviation");
  f.missing = m.number("missing");
  WN_CHECK(std::isfinite(f.mean) && std::isfinite(f.missing) && std::isfinite(f.deviation) && f.deviation > 0,
           DataError, "mean {}, deviation {}, missing {}", f.mean, f.deviation, f.missing);
  if (s.normalizer != Normalizer::Quantile) return;
  f.knots = m.numbers("knots");
  f.levels = m.numbers("levels");
  WN_CHECK(rises(f.knots) && rises(f.levels) && f.knots.size() == f.levels.size() &&
               static_cast<int64_t>(f.knots.size()) <= kMaxKnots,
           DataError, "knots and levels must be equally many, at most {}, finite and rise", kMaxKnots);
  WN_CHECK(f.knots.empty() ||
               (std::isfinite(f.knots.back() - f.knots.front()) && f.levels.front() >= 0 && f.levels.back() <= 1),
           DataError, "levels outside [0, 1], or knots too far apart");
}

void read_ids(Members& m, FittedFeature& f) {
  FeatureSpec& s = f.spec;
  if (m.has("encoding")) s.encoding = parse_encoding(m.text("encoding"), "encoding");
  if (m.has("embedding_dim")) s.embedding_dim = m.integer("embedding_dim");
  s.min_categr_count = m.integer("min_categr_count");
  if (has_bags(s)) {
    s.max_len = m.integer("max_len");
    if (s.type != FeatureType::Text) s.separator = m.text("separator");
    s.pooling = parse_bag_pooling(m.text("pooling"), "pooling");
  }
  if (m.has("share_embedding")) s.share_embedding = m.text("share_embedding");
  if (m.has("hash_bucket_size")) {
    s.hash_bucket_size = m.integer("hash_bucket_size");
    const std::string hash = m.text("hash");
    const int64_t seed = m.integer("hash_seed");
    WN_CHECK(hash == detail::kHashName && seed == detail::kHashSeed, DataError,
             "hash {} with seed {}; this program has {} with seed {}", winnow::quoted(hash), seed, detail::kHashName,
             detail::kHashSeed);
  } else if (s.share_embedding.empty()) {
    f.vocabulary = m.vocabulary();
    WN_CHECK(has_ids(s) || f.vocabulary.size() <= kMaxOneHot, DataError, "one_hot of {} values, at most {}",
             f.vocabulary.size(), kMaxOneHot);
  }
}

void read_image(Members& m, FittedFeature& f) {
  f.spec.size = m.integer("size");
  f.spec.folder = m.text("folder");
  for (const double x : m.numbers("mean_image")) {
    WN_CHECK(x >= 0 && x <= 1, DataError, "mean_image holds {}", x);
    f.mean_image.push_back(static_cast<float>(x));
  }
  check_feature(f.spec);
  WN_CHECK(static_cast<int64_t>(f.mean_image.size()) == f.width(), DataError,
           "mean_image has {} numbers, size {} wants {}", f.mean_image.size(), f.spec.size, f.width());
}

FittedFeature read_feature(Members m) {
  FittedFeature f;
  FeatureSpec& s = f.spec;
  s.name = m.text("name");
  s.type = parse_feature_type(m.text("type"), "type");
  s.source = parse_feature_source(m.text("source"), "source");
  s.column = m.text("column");
  if (m.has("fill_na")) s.fill_na = m.text("fill_na");
  if (s.type == FeatureType::Numeric)
    read_number(m, f);
  else if (s.type == FeatureType::Image)
    read_image(m, f);
  else
    read_ids(m, f);
  m.finish();
  check_feature(s);
  return f;
}

// Receives the parser's events. Where they stand: nothing open, the map, the list of features, a feature, a list in it.
class Handler {
 public:
  FeatureMap map;
  size_t feature = 0;  // the one being read, from 1; 0: none yet

  bool null() { return unexpected("null"); }
  bool boolean(bool) { return unexpected("true or false"); }
  bool number_integer(int64_t n) { return number(n); }
  bool number_unsigned(uint64_t n) {
    return n <= INT64_MAX ? number(static_cast<int64_t>(n)) : number(static_cast<double>(n));
  }
  bool number_float(double x, const std::string&) { return number(x); }
  bool binary(nlohmann::json::binary_t&) { return unexpected("bytes"); }
  bool string(std::string& text) {
    if (place_ == Map) return set_member(text);
    if (place_ == Feature) return members_.set(key_, text), true;
    if (place_ != Texts) return unexpected("a text");
    WN_CHECK(!text.empty() && vocabulary_->add(text), DataError, "the vocabulary holds {} {}", winnow::quoted(text),
             text.empty() ? "(an empty value)" : "twice");
    return true;
  }
  bool key(std::string& text) {
    key_ = text;
    return true;
  }
  bool start_object(size_t) {
    if (place_ == Nothing) return place_ = Map, true;
    if (place_ != List) return unexpected("a map");
    ++feature;
    WN_CHECK(feature <= kMaxFeatures, DataError, "more than {} features", kMaxFeatures);
    members_ = {};
    return place_ = Feature, true;
  }
  bool end_object() {
    if (place_ == Map) return place_ = Nothing, true;
    map.features.push_back(read_feature(std::move(members_)));
    return place_ = List, true;
  }
  bool start_array(size_t) {
    if (place_ == Map && key_ == "features" && known_) return place_ = List, true;
    if (place_ != Feature) return unexpected("a list");
    if (key_ == "vocabulary") {
      vocabulary_ = &members_.start_vocabulary();
      return place_ = Texts, true;
    }
    numbers_ = &members_.start_numbers(key_);
    return place_ = Numbers, true;
  }
  bool end_array() { return place_ = place_ == List ? Map : Feature, true; }
  [[noreturn]] bool parse_error(size_t, const std::string&, const nlohmann::json::exception& e) {
    raise<DataError>("{}", e.what());
  }
  bool complete() const { return known_ && has_version_ && has_ids_ == 3 && place_ == Nothing; }

 private:
  enum Place : uint8_t { Nothing, Map, List, Feature, Texts, Numbers } place_ = Nothing;
  static constexpr size_t kMaxFeatures = 10000;

  [[noreturn]] bool unexpected(const char* what) const {
    WN_CHECK(known_, DataError, "not a feature map");
    raise<DataError>("{}{} where none belongs", key_.empty() ? "" : winnow::quoted(key_) + ": ", what);
  }
  template <class T>
  bool number(T n) {
    if (place_ == Numbers) return numbers_->push_back(static_cast<double>(n)), true;
    if (place_ == Feature) return members_.set(key_, n), true;
    if (place_ != Map || key_ != "version" || !known_) unexpected("a number");
    WN_CHECK(n == 1 || n == 2, DataError, "version {}, this program reads versions 1 and 2", n);
    return has_version_ = true;
  }
  bool set_member(const std::string& text) {
    if (key_ == "format" && text == detail::kFeatureMapFormat) return known_ = true;
    WN_CHECK(known_, DataError, "not a feature map");
    if (key_ == "user_id") return map.user_id = text, has_ids_ |= 1, true;
    if (key_ == "item_id") return map.item_id = text, has_ids_ |= 2, true;
    return unexpected("a text");
  }

  std::string key_;
  bool known_ = false, has_version_ = false;
  int has_ids_ = 0;
  Members members_;
  std::vector<double>* numbers_ = nullptr;
  Vocabulary* vocabulary_ = nullptr;
};

// share_embedding: the vocabulary stands with the feature that owns it.
void share_vocabularies(std::vector<FittedFeature>& features) {
  std::vector<FeatureSpec> specs;
  std::map<std::string, size_t> by_name;
  for (size_t i = 0; i < features.size(); ++i) {
    specs.push_back(features[i].spec);
    WN_CHECK(by_name.emplace(specs.back().name, i).second, DataError, "two features are named {}",
             winnow::quoted(specs.back().name));
  }
  check_sharing(specs);
  for (FittedFeature& f : features)
    if (!f.spec.share_embedding.empty()) f.vocabulary = features[by_name.at(f.spec.share_embedding)].vocabulary;
}

}  // namespace

FeatureMap FeatureMap::from_json(std::string_view text, const std::string& name) {
  Handler handler;
  bool parsed = false;
  try {
    nlohmann::json::sax_parse(text.begin(), text.end(), &handler);
    parsed = true;
    WN_CHECK(handler.complete(), DataError, "not a feature map: format, version, user_id or item_id is missing");
    share_vocabularies(handler.map.features);
  } catch (const Error& e) {
    raise<DataError>("{}: {}{}", name,
                     !parsed && handler.feature > 0 ? fmt::format("feature {}: ", handler.feature) : "", e.what());
  }
  handler.map.index();
  return std::move(handler.map);
}

FeatureMap FeatureMap::load(const std::string& path) { return from_json(read_text(path, kMaxBytes), path); }

}  // namespace winnow
