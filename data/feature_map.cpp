#include "data/feature_map.h"

#include <algorithm>
#include <cmath>
#include <limits>

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
  dense_begin_.assign(1, 0);
  for (size_t i = 0; i < features.size(); ++i) {
    const bool ids = winnow::has_ids(features[i].spec);
    (ids ? fields_ : numbers_).push_back(static_cast<int32_t>(i));
    if (!ids) dense_begin_.push_back(dense_begin_.back() + features[i].width());
  }
}

bool FeatureMap::has_bags() const {
  return std::ranges::any_of(features, [](const FittedFeature& f) { return winnow::has_bags(f.spec); });
}

int64_t FeatureMap::ids_per_row() const {
  int64_t sum = 0;
  for (size_t f = 0; f < fields_.size(); ++f) sum += winnow::has_bags(field(f).spec) ? field(f).spec.max_len : 1;
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

namespace {

// A cell of a feature that reads numbers; NaN: missing.
double number_of(const FittedFeature& feature, std::string_view cell) {
  if (cell.empty()) return std::numeric_limits<double>::quiet_NaN();
  const auto x = parse_number(cell);
  WN_CHECK(x, DataError, "feature {}: {} is not a number", quoted(feature.spec.name), quoted(cell));
  return *x;
}

}  // namespace

void FeatureMap::encode_ids(const FittedFeature& feature, std::string_view cell, std::vector<int64_t>& ids) {
  if (reads_numbers(feature.spec)) return encode_ids(feature, number_of(feature, cell), ids);
  const size_t before = ids.size();
  detail::for_each_part(feature.spec, cell, [&](std::string_view part) { ids.push_back(feature.vocabulary.id(part)); });
  if (!winnow::has_bags(feature.spec) && ids.size() == before) ids.push_back(Vocabulary::kPad);
}

void FeatureMap::encode_ids(const FittedFeature& feature, double, std::vector<int64_t>&) {
  raise<DataError>("feature {}: its ids are not those of numbers", quoted(feature.spec.name));
}

void FeatureMap::encode_dense(const FittedFeature& feature, std::string_view cell, std::vector<float>& dense) {
  encode_dense(feature, number_of(feature, cell), dense);
}

void FeatureMap::encode_dense(const FittedFeature& feature, double x, std::vector<float>& dense) {
  const double y = (transform(feature.spec.normalizer, x) - feature.mean) / feature.deviation;
  dense.push_back(static_cast<float>(std::isnan(x) ? feature.missing : y));
}

void FeatureMap::encode_row(std::span<const std::string_view> cells, EncodedRow& out) const {
  WN_CHECK(cells.size() == features.size(), DataError, "{} cells given for {} features", cells.size(), features.size());
  out.ids.clear();
  out.lengths.clear();
  out.dense.clear();
  for (size_t i = 0; i < features.size(); ++i) {
    if (!winnow::has_ids(features[i].spec)) {
      encode_dense(features[i], cells[i], out.dense);
      continue;
    }
    const size_t before = out.ids.size();
    encode_ids(features[i], cells[i], out.ids);
    out.lengths.push_back(static_cast<int32_t>(out.ids.size() - before));
  }
}

}  // namespace winnow
