// The body of POST /v1/score of any bytes: an Error, or rows whose ids lie in their tables.
#include <string>

#include "core/error.h"
#include "serve/api/feature_cells.h"
#include "tests/fuzz/small_map.h"

namespace winnow {
namespace {

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
    check_row(map, row);
  }
}

}  // namespace
}  // namespace winnow

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace winnow;
  static const FeatureMap map = SmallMap{{"a", "b", "c 1", "7"}, 4, true}.make();
  try {
    read(map, {reinterpret_cast<const char*>(data), size});
  } catch (const Error&) {}
  return 0;
}
