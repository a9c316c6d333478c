#include "data/feature_map.h"

#include <cmath>

#include "core/error.h"
#include "core/text.h"
#include "data/detail/cell_parts.h"
#include "data/detail/names.h"
#include "data/timestamp.h"

namespace winnow {

double transform(Normalizer normalizer, double x) {
  const bool log = normalizer == Normalizer::Log || normalizer == Normalizer::LogStandard;
  return log ? std::copysign(std::log1p(std::abs(x)), x) : x;
}

void FeatureMap::index() {
  fields_.clear();
  numbers_.clear();
  for (size_t i = 0; i < features.size(); ++i)
    (features[i].spec.type == FeatureType::Numeric ? numbers_ : fields_).push_back(static_cast<int32_t>(i));
}

bool FeatureMap::has_bags() const {
  for (size_t f = 0; f < fields_.size(); ++f)
    if (field(f).spec.type == FeatureType::Multi) return true;
  return false;
}

int64_t FeatureMap::ids_per_row() const {
  int64_t sum = 0;
  for (size_t f = 0; f < fields_.size(); ++f)
    sum += field(f).spec.type == FeatureType::Multi ? field(f).spec.max_len : 1;
  return sum;
}

namespace {

int field_of_column(const FeatureMap& map, const std::string& column, FeatureSource source) {
  for (size_t f = 0; f < map.fields().size(); ++f) {
    const FeatureSpec& spec = map.field(f).spec;
    if (spec.type == FeatureType::Categorical && spec.column == column && spec.source == source)
      return static_cast<int>(f);
  }
  return -1;
}

}  // namespace

int FeatureMap::user_field() const { return field_of_column(*this, user_id, FeatureSource::User); }
int FeatureMap::item_field() const { return field_of_column(*this, item_id, FeatureSource::Item); }

size_t FeatureMap::feature(std::string_view name) const {
  std::vector<std::string> names;
  for (size_t i = 0; i < features.size(); ++i) {
    if (features[i].spec.name == name) return i;
    names.push_back(features[i].spec.name);
  }
  raise<DataError>("there is no feature {}{} (features: {})", quoted(name), did_you_mean(name, names),
                   detail::list_of(names));
}

void FeatureMap::encode_ids(const FittedFeature& feature, std::string_view cell, std::vector<int64_t>& ids) {
  const size_t before = ids.size();
  detail::for_each_part(feature.spec, cell, [&](std::string_view part) { ids.push_back(feature.vocabulary.id(part)); });
  if (feature.spec.type == FeatureType::Categorical && ids.size() == before) ids.push_back(Vocabulary::kPad);
}

float FeatureMap::encode_number(const FittedFeature& feature, std::string_view cell) {
  if (cell.empty()) return static_cast<float>(feature.missing);
  const auto x = parse_number(cell);
  WN_CHECK(x, DataError, "feature {}: {} is not a number", quoted(feature.spec.name), quoted(cell));
  return encode_number(feature, *x);
}

float FeatureMap::encode_number(const FittedFeature& feature, double x) {
  return static_cast<float>((transform(feature.spec.normalizer, x) - feature.mean) / feature.deviation);
}

void FeatureMap::encode_row(std::span<const std::string_view> cells, EncodedRow& out) const {
  WN_CHECK(cells.size() == features.size(), DataError, "{} cells given for {} features", cells.size(), features.size());
  out.ids.clear();
  out.lengths.clear();
  out.dense.clear();
  for (size_t i = 0; i < features.size(); ++i) {
    if (features[i].spec.type == FeatureType::Numeric) {
      out.dense.push_back(encode_number(features[i], cells[i]));
      continue;
    }
    const size_t before = out.ids.size();
    encode_ids(features[i], cells[i], out.ids);
    out.lengths.push_back(static_cast<int32_t>(out.ids.size() - before));
  }
}

}  // namespace winnow
