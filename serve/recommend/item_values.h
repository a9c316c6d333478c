// The values of the items' features (genres, brand, in stock) by item and by value: filters, rules and categories.
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/catalogue.h"
#include "data/string_index.h"
#include "serve/recommend/item_set.h"

namespace winnow {

// Items with one of the values; `exclude`: items with none of them.
struct ValueFilter {
  std::string feature;
  std::vector<std::string> values;
  bool exclude = false;
};

class ItemValues {
 public:
  // All features of the item side with a vocabulary, but for the item's id.
  ItemValues(const Catalogue& catalogue, const FeatureMap& map);
  // values[i]: of item i.
  struct Feature {
    std::string name;
    std::vector<std::vector<std::string>> values;
  };
  ItemValues(int64_t items, const std::vector<Feature>& features);

  int64_t items() const { return items_; }
  size_t features() const { return tables_.size(); }
  const std::string& name(size_t feature) const { return tables_[feature].name; }
  size_t feature(std::string_view name) const;  // DataError with the nearest name
  int32_t values(size_t feature) const { return tables_[feature].texts.size(); }
  std::string_view text(size_t feature, int32_t value) const { return tables_[feature].texts.text(value); }
  int32_t value(size_t feature, std::string_view text) const;  // DataError with the nearest value
  std::span<const int32_t> of_item(size_t feature, int64_t item) const;
  std::span<const int32_t> with(size_t feature, int32_t value) const;  // items, ascending
  // |A and B| / |A or B| of the values of two items, 0 where one has none; 1 of an item with itself.
  double jaccard(size_t feature, int64_t a, int64_t b) const;

  // The items that pass, among all. DataError: an unknown feature or value; no value.
  ItemSet passing(const ValueFilter& filter) const;

 private:
  struct Table {
    std::string name;
    StringIndex texts;
    std::vector<int64_t> item_begin = {0}, value_begin;
    std::vector<int32_t> values, items;
  };
  static void index(Table& table);
  int64_t items_;
  std::vector<Table> tables_;
};

}  // namespace winnow
