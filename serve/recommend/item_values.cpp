#include "serve/recommend/item_values.h"

#include <algorithm>
#include <numeric>

#include "core/error.h"
#include "core/text.h"

namespace winnow {
namespace {

template <class T>
std::span<const T> range(const std::vector<T>& all, const std::vector<int64_t>& begin, int64_t i) {
  const auto at = static_cast<size_t>(i);
  return std::span(all).subspan(static_cast<size_t>(begin[at]), static_cast<size_t>(begin[at + 1] - begin[at]));
}

}  // namespace

void ItemValues::index(Table& table) {
  std::vector<int64_t> next(static_cast<size_t>(table.texts.size()) + 1);
  for (const int32_t v : table.values) ++next[static_cast<size_t>(v) + 1];
  std::partial_sum(next.begin(), next.end(), next.begin());
  table.value_begin = next;
  table.items.resize(table.values.size());
  for (size_t i = 0; i + 1 < table.item_begin.size(); ++i)
    for (int64_t n = table.item_begin[i]; n < table.item_begin[i + 1]; ++n)
      table.items[static_cast<size_t>(next[static_cast<size_t>(table.values[static_cast<size_t>(n)])]++)] =
          static_cast<int32_t>(i);
}

ItemValues::ItemValues(const Catalogue& catalogue, const FeatureMap& map) : items_(catalogue.items()) {
  for (size_t f = 0; f < map.features.size(); ++f) {
    const FittedFeature& feature = map.features[f];
    if (side_of(feature) != FeatureSide::Item || !has_vocabulary(feature.spec) || feature.spec.column == map.item_id)
      continue;
    Table table;
    table.name = feature.spec.name;
    for (int64_t i = 0; i < items_; ++i) {
      const auto first = static_cast<std::ptrdiff_t>(table.values.size());
      for (const std::string_view value : catalogue.values(i, f))
        if (const int32_t v = table.texts.add(value);
            std::find(table.values.begin() + first, table.values.end(), v) == table.values.end())
          table.values.push_back(v);
      table.item_begin.push_back(static_cast<int64_t>(table.values.size()));
    }
    index(table);
    tables_.push_back(std::move(table));
  }
}

ItemValues::ItemValues(int64_t items, const std::vector<Feature>& features) : items_(items) {
  for (const Feature& feature : features) {
    WN_CHECK(static_cast<int64_t>(feature.values.size()) == items, DataError, "{}: values of {} items, there are {}",
             feature.name, feature.values.size(), items);
    Table table;
    table.name = feature.name;
    for (const auto& values : feature.values) {
      for (const std::string& value : values) table.values.push_back(table.texts.add(value));
      table.item_begin.push_back(static_cast<int64_t>(table.values.size()));
    }
    index(table);
    tables_.push_back(std::move(table));
  }
}

size_t ItemValues::feature(std::string_view name) const {
  const auto at = std::ranges::find(tables_, name, &Table::name);
  if (at != tables_.end()) return static_cast<size_t>(at - tables_.begin());
  std::vector<std::string> names;
  for (const Table& table : tables_) names.push_back(table.name);
  raise<DataError>("items have no feature {} with values{}; there are: {}", quoted(name), did_you_mean(name, names),
                   names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", ")));
}

int32_t ItemValues::value(size_t feature, std::string_view text) const {
  const Table& table = tables_[feature];
  const int32_t v = table.texts.find(text);
  if (v >= 0) return v;
  std::vector<std::string> texts;
  for (int32_t i = 0; i < std::min(table.texts.size(), 10000); ++i) texts.emplace_back(table.texts.text(i));
  raise<DataError>("no item has the {} {}{}", table.name, quoted(text), did_you_mean(text, texts));
}

std::span<const int32_t> ItemValues::of_item(size_t feature, int64_t item) const {
  return range(tables_[feature].values, tables_[feature].item_begin, item);
}
std::span<const int32_t> ItemValues::with(size_t feature, int32_t value) const {
  return range(tables_[feature].items, tables_[feature].value_begin, value);
}

double ItemValues::jaccard(size_t feature, int64_t a, int64_t b) const {
  if (a == b) return 1;
  const auto x = of_item(feature, a), y = of_item(feature, b);
  int64_t common = 0;
  for (const int32_t v : x) common += std::ranges::find(y, v) != y.end() ? 1 : 0;
  const auto either = static_cast<int64_t>(x.size() + y.size()) - common;
  return either == 0 ? 0 : static_cast<double>(common) / static_cast<double>(either);
}

ItemSet ItemValues::passing(const ValueFilter& filter) const {
  const size_t f = feature(filter.feature);
  WN_CHECK(!filter.values.empty(), DataError, "the filter on {} names no value", filter.feature);
  ItemSet set(items_, filter.exclude);
  for (const std::string& text : filter.values)
    for (const int32_t item : with(f, value(f, text)))
      if (filter.exclude)
        set.remove(item);
      else
        set.add(item);
  return set;
}

}  // namespace winnow
