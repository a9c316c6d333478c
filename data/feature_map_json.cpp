// feature_map.json
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/file.h"
#include "core/text.h"
#include "data/feature_map.h"

namespace winnow {
namespace {

using Json = nlohmann::ordered_json;
constexpr const char* kFormat = "winnow feature map";
constexpr int kVersion = 1;
constexpr size_t kMaxBytes = size_t{4} << 30;

Json to_json(const FittedFeature& f) {
  const FeatureSpec& s = f.spec;
  Json j{{"name", s.name}, {"type", name_of(s.type)}, {"source", name_of(s.source)}, {"column", s.column}};
  if (s.fill_na) j["fill_na"] = *s.fill_na;
  if (s.type == FeatureType::Numeric) {
    j["normalizer"] = name_of(s.normalizer);
    j["mean"] = f.mean;
    j["deviation"] = f.deviation;
    j["missing"] = f.missing;
    return j;
  }
  j["min_categr_count"] = s.min_categr_count;
  if (s.type == FeatureType::Multi) {
    j["max_len"] = s.max_len;
    j["separator"] = s.separator;
    j["pooling"] = name_of(s.pooling);
  }
  Json values = Json::array();
  for (int64_t id = 1; id <= f.vocabulary.size(); ++id) values.emplace_back(f.vocabulary.value(id));
  j["vocabulary"] = std::move(values);
  return j;
}

FeatureSpec spec_from(const Json& j) {
  FeatureSpec s;
  s.name = j.at("name");
  s.type = parse_feature_type(j.at("type").get<std::string>(), s.name);
  s.source = parse_feature_source(j.at("source").get<std::string>(), s.name);
  s.column = j.at("column");
  if (j.contains("fill_na")) s.fill_na = j.at("fill_na").get<std::string>();
  if (s.type == FeatureType::Numeric) {
    s.normalizer = parse_normalizer(j.at("normalizer").get<std::string>(), s.name);
    return s;
  }
  s.min_categr_count = j.at("min_categr_count");
  if (s.type != FeatureType::Multi) return s;
  s.max_len = j.at("max_len");
  s.separator = j.at("separator");
  s.pooling = parse_bag_pooling(j.at("pooling").get<std::string>(), s.name);
  WN_CHECK(s.max_len >= 1 && s.max_len <= 65536, DataError, "max_len {} must be 1 to 65536", s.max_len);
  WN_CHECK(!s.separator.empty(), DataError, "an empty separator");
  return s;
}

FittedFeature fitted_from(const Json& j) {
  FittedFeature f;
  f.spec = spec_from(j);
  if (f.spec.type == FeatureType::Numeric) {
    f.mean = j.at("mean");
    f.deviation = j.at("deviation");
    f.missing = j.at("missing");
    WN_CHECK(std::isfinite(f.mean) && std::isfinite(f.missing) && f.deviation > 0, DataError,
             "mean {}, deviation {}, missing {}", f.mean, f.deviation, f.missing);
    return f;
  }
  for (const Json& value : j.at("vocabulary")) {
    const std::string_view text = value.get_ref<const std::string&>();
    const int64_t before = f.vocabulary.size();
    f.vocabulary.add(text);
    WN_CHECK(f.vocabulary.size() == before + 1 && !text.empty(), DataError, "the vocabulary holds {} {}", quoted(text),
             text.empty() ? "(an empty value)" : "twice");
  }
  return f;
}

}  // namespace

std::string FeatureMap::json() const {
  Json all{{"format", kFormat}, {"version", kVersion}, {"user_id", user_id}, {"item_id", item_id}};
  Json list = Json::array();
  for (const FittedFeature& f : features) list.push_back(to_json(f));
  all["features"] = std::move(list);
  return all.dump(1) + "\n";
}

FeatureMap FeatureMap::from_json(std::string_view text, const std::string& name) {
  FeatureMap map;
  size_t at = 0;
  try {
    const Json all = Json::parse(text);
    WN_CHECK(all.is_object() && all.value("format", "") == kFormat, DataError, "not a feature map");
    const int version = all.at("version");
    WN_CHECK(version == kVersion, DataError, "version {}, this program reads version {}", version, kVersion);
    map.user_id = all.at("user_id");
    map.item_id = all.at("item_id");
    for (const Json& j : all.at("features")) {
      ++at;
      map.features.push_back(fitted_from(j));
    }
  } catch (const Json::exception& e) {
    raise<DataError>("{}: {}{}", name, at > 0 ? fmt::format("feature {}: ", at) : "", e.what());
  } catch (const Error& e) {
    raise<DataError>("{}: {}{}", name, at > 0 ? fmt::format("feature {}: ", at) : "", e.what());
  }
  map.index();
  return map;
}

void FeatureMap::save(const std::string& path) const { write_atomically(path, json()); }
FeatureMap FeatureMap::load(const std::string& path) { return from_json(read_text(path, kMaxBytes), path); }

}  // namespace winnow
