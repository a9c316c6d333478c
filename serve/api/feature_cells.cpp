#include "serve/api/feature_cells.h"

#include "core/error.h"
#include "core/text.h"

namespace winnow {

SideCells::SideCells(const FeatureMap& map, FeatureSide side) : map_(map), side_(side) {
  for (size_t f = 0; f < map.features.size(); ++f)
    if (side_of(map.features[f]) == side) features_.push_back(f);
  cells_.resize(features_.size());
  given_.resize(features_.size());
}

size_t SideCells::position(std::string_view name, std::string_view place) const {
  std::vector<std::string> known;
  for (size_t i = 0; i < features_.size(); ++i) {
    if (map_.features[features_[i]].spec.name == name) return i;
    known.push_back(map_.features[features_[i]].spec.name);
  }
  raise<DataError>("{}: there is no {} feature '{}'{}; known are {}", place,
                   side_ == FeatureSide::Item ? "item" : "user or context", name,
                   did_you_mean(std::string(name), known), fmt::join(known, ", "));
}

void SideCells::set_at(size_t i, JsonElement value, std::string_view place, std::string_view name) {
  const FeatureSpec& spec = map_.features[features_[i]].spec;
  WN_CHECK(spec.type != FeatureType::Image, DataError, "{}.{}: an image cannot come with a request", place, name);
  cells_[i].clear();
  if (!append_cell(value, spec.separator, cells_[i]))
    raise<DataError>("{}.{}: expected a text, a number, null or a list of texts and numbers", place, name);
  given_[i] = 1;
  any_ = true;
}

void SideCells::set(std::string_view name, JsonElement value, std::string_view place) {
  set_at(position(name, place), value, place, name);
}

void SideCells::read(const JsonObject& features) {
  for (const auto field : features.fields()) {
    const std::string place = features.place_of(field.key);
    set_at(position(field.key, place), field.value, features.place_of(""), field.key);
  }
}

void SideCells::columns(simdjson::dom::array names, std::string_view place) {
  columns_.clear();
  for (const JsonElement name : names) {
    std::string_view text;
    WN_CHECK(name.get(text) == simdjson::SUCCESS, DataError, "{}: expected names of features", place);
    columns_.push_back(position(text, place));
  }
}

void SideCells::read_row(simdjson::dom::array values, std::string_view place) {
  WN_CHECK(values.size() == columns_.size(), DataError, "{}: {} values for {} columns", place, values.size(),
           columns_.size());
  size_t c = 0;
  for (const JsonElement value : values) {
    const size_t i = columns_[c++];
    set_at(i, value, place, map_.features[features_[i]].spec.name);
  }
}

void SideCells::encode(const EncodedSide& base, EncodedRow& out) const {
  out.ids.clear(), out.lengths.clear(), out.dense.clear();
  size_t id = 0, length = 0, number = 0;
  for (size_t i = 0; i < features_.size(); ++i) {
    const FittedFeature& f = map_.features[features_[i]];
    if (!has_ids(f.spec)) {
      const auto width = static_cast<size_t>(f.width());
      if (given_[i])
        FeatureMap::encode_dense(f, cells_[i], out.dense);
      else
        out.dense.insert(out.dense.end(), base.dense.begin() + static_cast<std::ptrdiff_t>(number),
                         base.dense.begin() + static_cast<std::ptrdiff_t>(number + width));
      number += width;
      continue;
    }
    const auto had = static_cast<size_t>(base.lengths[length++]);
    const size_t before = out.ids.size();
    if (given_[i])
      FeatureMap::encode_ids(f, cells_[i], out.ids);
    else
      out.ids.insert(out.ids.end(), base.ids.begin() + static_cast<std::ptrdiff_t>(id),
                     base.ids.begin() + static_cast<std::ptrdiff_t>(id + had));
    out.lengths.push_back(static_cast<int32_t>(out.ids.size() - before));
    id += had;
  }
}

void SideCells::clear() {
  std::ranges::fill(given_, 0);
  any_ = false;
}

}  // namespace winnow
