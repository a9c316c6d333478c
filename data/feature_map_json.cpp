// feature_map.json, written. docs/data.md lists its keys.
#include <charconv>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/file.h"
#include "data/detail/feature_map_format.h"
#include "data/feature_map.h"

namespace winnow {
namespace {

std::string shown(std::string_view text) { return nlohmann::json(text).dump(); }
std::string shown(const char* text) { return shown(std::string_view(text)); }
std::string shown(const std::string& text) { return shown(std::string_view(text)); }
std::string shown(int64_t n) { return std::to_string(n); }
template <class T>
std::string shown_float(T x) {  // the shortest text that reads back equal
  char text[40];
  return {text, std::to_chars(text, text + sizeof text, x).ptr};
}
std::string shown(double x) { return shown_float(x); }
std::string shown(float x) { return shown_float(x); }

// The members of one feature, a line each; lists of numbers in one line, vocabularies a value a line.
class FeatureWriter {
 public:
  explicit FeatureWriter(std::string& out) : out_(out) {}
  template <class T>
  void put(const char* key, const T& value) {
    begin(key);
    out_ += shown(value);
  }
  template <class T>
  void put_list(const char* key, const std::vector<T>& list) {
    begin(key);
    out_ += '[';
    for (size_t i = 0; i < list.size(); ++i) out_.append(i > 0 ? "," : "").append(shown(list[i]));
    out_ += ']';
  }
  void put_vocabulary(const Vocabulary& vocabulary) {
    begin("vocabulary");
    out_ += '[';
    for (int64_t id = 1; id <= vocabulary.size(); ++id)
      out_.append(id > 1 ? ",\n    " : "\n    ").append(shown(vocabulary.value(id)));
    out_ += "\n   ]";
  }

 private:
  void begin(const char* key) { out_ += (std::exchange(first_, false) ? "\n   " : ",\n   ") + shown(key) + ": "; }
  std::string& out_;
  bool first_ = true;
};

void put_number(const FittedFeature& f, FeatureWriter& w) {
  const FeatureSpec& s = f.spec;
  if (has_ids(s)) {
    if (s.quantiles > 0) w.put("quantiles", s.quantiles);
    if (s.embedding_dim > 0) w.put("embedding_dim", s.embedding_dim);
    return w.put_list("boundaries", f.boundaries);
  }
  w.put("normalizer", name_of(s.normalizer));
  w.put("mean", f.mean);
  w.put("deviation", f.deviation);
  w.put("missing", f.missing);
  if (s.normalizer != Normalizer::Quantile) return;
  w.put_list("knots", f.knots);
  w.put_list("levels", f.levels);
}

void put_ids(const FittedFeature& f, FeatureWriter& w) {
  const FeatureSpec& s = f.spec;
  if (s.encoding != Encoding::Label) w.put("encoding", name_of(s.encoding));
  if (s.embedding_dim > 0) w.put("embedding_dim", s.embedding_dim);
  w.put("min_categr_count", s.min_categr_count);
  if (has_bags(s)) {
    w.put("max_len", s.max_len);
    if (s.type != FeatureType::Text) w.put("separator", s.separator);
    w.put("pooling", name_of(s.pooling));
  }
  if (!s.share_embedding.empty()) w.put("share_embedding", s.share_embedding);
  if (s.hash_bucket_size > 0) {
    w.put("hash_bucket_size", s.hash_bucket_size);
    w.put("hash", detail::kHashName);
    w.put("hash_seed", detail::kHashSeed);
  } else if (s.share_embedding.empty()) {
    w.put_vocabulary(f.vocabulary);
  }
}

void put_feature(const FittedFeature& f, std::string& out) {
  const FeatureSpec& s = f.spec;
  FeatureWriter w(out);
  w.put("name", s.name);
  w.put("type", name_of(s.type));
  w.put("source", name_of(s.source));
  w.put("column", s.column);
  if (s.fill_na) w.put("fill_na", *s.fill_na);
  if (s.type == FeatureType::Numeric) return put_number(f, w);
  if (s.type != FeatureType::Image) return put_ids(f, w);
  w.put("size", s.size);
  w.put("folder", s.folder);
  w.put_list("mean_image", f.mean_image);
}

}  // namespace

std::string FeatureMap::json() const {
  std::string out =
      fmt::format("{{\n \"format\": {},\n \"version\": {},\n \"user_id\": {},\n \"item_id\": {},\n ",
                  shown(detail::kFeatureMapFormat), detail::kFeatureMapVersion, shown(user_id), shown(item_id));
  out += "\"features\": [";
  for (size_t i = 0; i < features.size(); ++i) {
    out += i > 0 ? ",\n  {" : "\n  {";
    put_feature(features[i], out);
    out += "\n  }";
  }
  return out + "\n ]\n}\n";
}

void FeatureMap::save(const std::string& path) const { write_atomically(path, json()); }

}  // namespace winnow
