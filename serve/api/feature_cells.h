// Features by name out of a request, as a side of a row.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "data/catalogue.h"
#include "serve/api/json_body.h"

namespace winnow {

// The features of one side of a map, and the cells that a request gives for them.
class SideCells {
 public:
  SideCells(const FeatureMap& map, FeatureSide side);
  // {"age": 33, "genres": ["Comedy", "Drama"], "city": null}: null is a missing value. DataError: a feature that this
  // side does not have, a value that is no scalar or list of them.
  void read(const JsonObject& features);
  void set(std::string_view name, JsonElement value, std::string_view place);
  // One row of columns: names once, values by position.
  void columns(simdjson::dom::array names, std::string_view place);
  void read_row(simdjson::dom::array values, std::string_view place);
  // The cells read since clear(), in place of those of `base`. DataError as FeatureMap::encode_row().
  void encode(const EncodedSide& base, EncodedRow& out) const;
  void clear();
  bool any() const { return any_; }
  size_t column_count() const { return columns_.size(); }

 private:
  size_t position(std::string_view name, std::string_view place) const;
  void set_at(size_t feature, JsonElement value, std::string_view place, std::string_view name);
  const FeatureMap& map_;
  FeatureSide side_;
  std::vector<size_t> features_, columns_;  // of the map; columns_: positions in features_
  std::vector<std::string> cells_;
  std::vector<char> given_;
  bool any_ = false;
};

}  // namespace winnow
