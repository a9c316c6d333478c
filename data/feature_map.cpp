#include "data/feature_map.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "core/text.h"
#include "data/detail/cell_parts.h"
#include "data/detail/names.h"
#include "data/hash.h"
#include "data/image.h"
#include "data/timestamp.h"

namespace winnow {

bool Vocabulary::add(std::string_view value) {
  if (values_.use_count() > 1) values_ = std::make_shared<StringIndex>(*values_);
  const int32_t before = values_->size();
  return values_->add(value) == before;
}

double transform(Normalizer normalizer, double x) {
  const bool log = normalizer == Normalizer::Log || normalizer == Normalizer::LogStandard;
  return log ? std::copysign(std::log1p(std::abs(x)), x) : x;
}

int64_t FittedFeature::rows() const {
  if (!has_ids(spec)) return 0;
  if (reads_numbers(spec)) return static_cast<int64_t>(boundaries.size()) + 2;
  return spec.hash_bucket_size > 0 ? spec.hash_bucket_size + 1 : vocabulary.rows();
}

int64_t FittedFeature::width() const {
  if (has_ids(spec)) return 0;
  if (spec.type == FeatureType::Image) return 3 * spec.size * spec.size;
  return spec.type == FeatureType::Categorical ? vocabulary.size() : 1;
}

int64_t FittedFeature::oov() const { return has_ids(spec) && has_vocabulary(spec) ? vocabulary.oov() : -1; }

double FittedFeature::scaled(double x) const {
  if (spec.normalizer != Normalizer::Quantile) return (transform(spec.normalizer, x) - mean) / deviation;
  const auto above = std::ranges::upper_bound(knots, x);
  if (knots.empty()) return missing;
  if (above == knots.begin()) return levels.front();
  if (above == knots.end()) return levels.back();
  const auto i = static_cast<size_t>(above - knots.begin());
  return std::lerp(levels[i - 1], levels[i], (x - knots[i - 1]) / (knots[i] - knots[i - 1]));
}

std::string FittedFeature::str() const {
  if (spec.type == FeatureType::Image) return fmt::format("{} x {} x 3 floats", spec.size, spec.size);
  if (spec.hash_bucket_size > 0) return fmt::format("{} buckets", spec.hash_bucket_size);
  if (spec.type != FeatureType::Numeric)
    return fmt::format("{} values{}", vocabulary.size(), has_ids(spec) ? "" : ", one column each");
  if (has_ids(spec)) return fmt::format("{} intervals", boundaries.size() + 1);
  if (spec.normalizer == Normalizer::Quantile) return fmt::format("quantile, {} knots", knots.size());
  if (spec.normalizer == Normalizer::MinMax) return fmt::format("min_max, {:.4g} to {:.4g}", mean, mean + deviation);
  return fmt::format("{}, mean {:.4g}, deviation {:.4g}", name_of(spec.normalizer), mean, deviation);
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

int FeatureMap::shared_field(size_t f) const {
  for (size_t g = 0; g < fields_.size(); ++g)
    if (field(g).spec.name == field(f).spec.share_embedding) return static_cast<int>(g);
  return -1;
}

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
  const FeatureSpec& spec = feature.spec;
  if (reads_numbers(spec)) return encode_ids(feature, number_of(feature, cell), ids);
  const size_t before = ids.size();
  const auto buckets = static_cast<uint64_t>(spec.hash_bucket_size);
  detail::for_each_part(spec, cell, [&](std::string_view part) {
    ids.push_back(buckets > 0 ? static_cast<int64_t>(1 + xxh64(part) % buckets) : feature.vocabulary.id(part));
  });
  if (!winnow::has_bags(spec) && ids.size() == before) ids.push_back(Vocabulary::kPad);
}

void FeatureMap::encode_ids(const FittedFeature& feature, double x, std::vector<int64_t>& ids) {
  if (std::isnan(x) && feature.spec.fill_na) x = *parse_number(*feature.spec.fill_na);
  if (std::isnan(x)) return ids.push_back(Vocabulary::kPad);
  ids.push_back(1 + (std::ranges::upper_bound(feature.boundaries, x) - feature.boundaries.begin()));
}

void FeatureMap::encode_dense(const FittedFeature& feature, std::string_view cell, std::vector<float>& dense) {
  const FeatureSpec& spec = feature.spec;
  if (reads_numbers(spec)) return encode_dense(feature, number_of(feature, cell), dense);
  if (spec.type == FeatureType::Image) {
    if (cell.empty())
      dense.insert(dense.end(), feature.mean_image.begin(), feature.mean_image.end());
    else
      read_image(spec.folder, cell, spec.size, dense);
    return;
  }
  const size_t begin = dense.size();
  dense.resize(begin + static_cast<size_t>(feature.width()));
  detail::for_each_part(spec, cell, [&](std::string_view part) {
    if (const int64_t id = feature.vocabulary.id(part); id != feature.vocabulary.oov())
      dense[begin + static_cast<size_t>(id - 1)] = 1;
  });
}

void FeatureMap::encode_dense(const FittedFeature& feature, double x, std::vector<float>& dense) {
  dense.push_back(static_cast<float>(std::isnan(x) ? feature.missing : feature.scaled(x)));
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
