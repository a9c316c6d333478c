// data/catalogue.h: any bytes as a run's catalogue, the checksums passed over: IoError, or one whose every user and
// item is found by its key and makes a row within the tables of the feature map.
#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>

#include "core/error.h"
#include "data/catalogue.h"
#include "tests/fuzz/small_map.h"

namespace winnow {
namespace {

void use(const Catalogue& c) {
  constexpr int64_t kLooked = 16;
  EncodedRow row;
  for (int64_t i = 0; i < std::min(c.items(), kLooked); ++i) {
    expect(c.find_item(c.item_key(i)) == i, "an item is found by its key");
    c.row(-1, i, row);
    check_row(c.features(), row);
    size_t bytes = c.item_title(i).size();
    for (size_t f = 0; f < c.features().features.size(); ++f)
      if (const FittedFeature& feature = c.features().features[f];
          side_of(feature) == FeatureSide::Item && has_ids(feature.spec))
        for (const std::string_view value : c.values(i, f)) bytes += value.size();
    expect(bytes < 1 << 20 && c.positives(i) + c.first_time(i) != 1'234'567'890'123, "texts and counts can be read");
  }
  for (int64_t u = 0; u < std::min(c.users(), kLooked); ++u) {
    expect(c.find_user(c.user_key(u)) == u, "a user is found by its key");
    expect(static_cast<int64_t>(c.taken_items(u).size()) == c.taken(u), "as many items as were taken");
    for (int64_t n = 0; n < std::min(c.taken(u), kLooked); ++n) {
      const TakenItem t = c.taken(u, n);
      c.row(u, t.item, row);
      check_row(c.features(), row);
    }
  }
}

}  // namespace
}  // namespace winnow

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace winnow;
  static const FeatureMap map = SmallMap{{"a", "b"}, 2}.make();
  const auto owner = std::shared_ptr<std::byte[]>(new std::byte[size]);
  if (size > 0) std::memcpy(owner.get(), data, size);
  std::optional<Catalogue> catalogue;
  try {
    const MemoryBound bound(size);
    catalogue.emplace(SafeTensors::parse({owner.get(), size}, owner, "fuzzed"), "fuzzed", map, /*verify=*/false);
  } catch (const IoError&) { return 0; }
  use(*catalogue);
  return 0;
}
