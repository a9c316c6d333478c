// feature_map.json from anywhere: DataError, or a map that writes itself back equal and encodes every row in bounds.
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "data/feature_map.h"
#include "tests/fuzz/memory_bound.h"

namespace winnow {
namespace {

void encode(const FeatureMap& map, std::string_view cell) {
  const std::vector<std::string_view> cells(map.features.size(), cell);
  EncodedRow row;
  try {
    map.encode_row(cells, row);
  } catch (const DataError&) { return; }  // a number or an image that is none
  expect(static_cast<int64_t>(row.dense.size()) == map.dense_width(), "as many floats as dense_width()");
  expect(row.lengths.size() == map.fields().size(), "a length for each field");
  size_t at = 0;
  for (size_t f = 0; f < row.lengths.size(); ++f)
    for (int32_t k = 0; k < row.lengths[f]; ++k, ++at)
      expect(row.ids[at] >= 0 && row.ids[at] < map.rows(f), "ids lie within the table");
  expect(at == row.ids.size() && static_cast<int64_t>(at) <= map.ids_per_row(), "lengths add up, within ids_per_row()");
}

}  // namespace
}  // namespace winnow

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace winnow;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    FeatureMap map;
    {
      const MemoryBound bound(size);
      map = FeatureMap::from_json(text, "fuzzed");
    }
    const std::string json = map.json();
    expect(FeatureMap::from_json(json, "again").json() == json, "reads back equal");
    if (map.dense_width() > 1 << 20) return 0;
    for (const std::string_view cell : {"", "a", "3.5", "b|c|d e f", "-1e308", "\xFF \xE6\x9D\xB1"}) encode(map, cell);
  } catch (const DataError&) {}
  return 0;
}
