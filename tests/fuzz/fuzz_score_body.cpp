// The body of POST /v1/score of any bytes: an Error, or rows whose ids lie in their tables.
#include <string>

#include "core/error.h"
#include "serve/api/feature_cells.h"
#include "tests/fuzz/memory_bound.h"

namespace winnow {
namespace {

FittedFeature feature(const char* name, FeatureType type, FeatureSource source) {
  FittedFeature f;
  f.spec.name = f.spec.column = name;
  f.spec.type = type;
  f.spec.source = source;
  if (type == FeatureType::Multi || type == FeatureType::Text) f.spec.max_len = 4;
  if (type != FeatureType::Numeric)
    for (const char* value : {"a", "b", "c 1", "7"}) f.vocabulary.add(value);
  return f;
}

FeatureMap small_map() {
  FeatureMap map;
  map.user_id = "user", map.item_id = "item";
  map.features = {feature("user", FeatureType::Categorical, FeatureSource::User),
                  feature("age", FeatureType::Numeric, FeatureSource::User),
                  feature("item", FeatureType::Categorical, FeatureSource::Item),
                  feature("genres", FeatureType::Multi, FeatureSource::Item),
                  feature("title", FeatureType::Text, FeatureSource::Item),
                  feature("price", FeatureType::Numeric, FeatureSource::Item)};
  map.index();
  return map;
}

void check(const FeatureMap& map, const EncodedRow& row) {
  expect(row.lengths.size() == map.fields().size(), "a length a field");
  expect(static_cast<int64_t>(row.dense.size()) == map.dense_width(), "all numbers");
  size_t at = 0;
  for (size_t f = 0; f < row.lengths.size(); ++f)
    for (int32_t k = 0; k < row.lengths[f]; ++k, ++at)
      expect(row.ids.at(at) >= 0 && row.ids[at] < map.rows(f), "ids lie in their tables");
  expect(at == row.ids.size(), "no other ids");
}

void read(const FeatureMap& map, std::string_view text) {
  static JsonBody body;
  const JsonObject o = body.object(text, {"user", "user_features", "candidates", "logits"});
  SideCells user(map, FeatureSide::User), item(map, FeatureSide::Item);
  EncodedRow user_row = unknown_side(map, FeatureSide::User), item_row, row;
  const EncodedRow stranger = user_row, nothing = unknown_side(map, FeatureSide::Item);
  if (const auto features = o.object("user_features")) user.read(*features);
  user.encode(view_of(stranger), user_row);
  o.flag("logits", false);
  const auto candidates = o.object("candidates");
  if (!candidates) return;
  candidates->only({"columns", "rows"});
  const auto columns = candidates->list("columns", 100), rows = candidates->list("rows", 1000);
  if (!columns || !rows) return;
  item.columns(*columns, "candidates.columns");
  for (const JsonElement values : *rows) {
    simdjson::dom::array list;
    if (values.get(list) != simdjson::SUCCESS) return;
    item.clear();
    item.read_row(list, "candidates.rows");
    item.encode(view_of(nothing), item_row);
    join_sides(map, view_of(user_row), view_of(item_row), row);
    check(map, row);
  }
}

}  // namespace
}  // namespace winnow

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace winnow;
  static const FeatureMap map = small_map();
  try {
    read(map, {reinterpret_cast<const char*>(data), size});
  } catch (const Error&) {}
  return 0;
}
