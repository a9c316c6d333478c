// A feature map of a user and an item with some features, for targets that make rows, and what holds of any row.
#pragma once
#include <vector>

#include "data/feature_map.h"
#include "tests/fuzz/memory_bound.h"

namespace winnow {

struct SmallMap {
  std::vector<const char*> values;  // that training saw, of each feature that is no number
  int64_t max_len;                  // of lists and texts
  bool title = false;               // a text of the item

  FeatureMap make() const {
    FeatureMap map;
    map.user_id = "user", map.item_id = "item";
    map.features = {feature("user", FeatureType::Categorical, FeatureSource::User),
                    feature("age", FeatureType::Numeric, FeatureSource::User),
                    feature("item", FeatureType::Categorical, FeatureSource::Item),
                    feature("genres", FeatureType::Multi, FeatureSource::Item)};
    if (title) map.features.push_back(feature("title", FeatureType::Text, FeatureSource::Item));
    map.features.push_back(feature("price", FeatureType::Numeric, FeatureSource::Item));
    map.index();
    return map;
  }

 private:
  FittedFeature feature(const char* name, FeatureType type, FeatureSource source) const {
    FittedFeature f;
    f.spec.name = f.spec.column = name;
    f.spec.type = type;
    f.spec.source = source;
    if (type == FeatureType::Multi || type == FeatureType::Text) f.spec.max_len = max_len;
    if (type != FeatureType::Numeric)
      for (const char* value : values) f.vocabulary.add(value);
    return f;
  }
};

inline void check_row(const FeatureMap& map, const EncodedRow& row) {
  expect(row.lengths.size() == map.fields().size(), "a length a field");
  expect(static_cast<int64_t>(row.dense.size()) == map.dense_width(), "all numbers");
  size_t at = 0;
  for (size_t f = 0; f < row.lengths.size(); ++f)
    for (int32_t k = 0; k < row.lengths[f]; ++k, ++at)
      expect(row.ids.at(at) >= 0 && row.ids[at] < map.rows(f), "ids lie in their tables");
  expect(at == row.ids.size(), "no other ids");
}

}  // namespace winnow
