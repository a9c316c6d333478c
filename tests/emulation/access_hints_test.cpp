// Coalescing and bank conflicts, counted by hand and from instrumented kernels.
#include "core/cuda/emulation/access_hints.h"

#include "tests/emulation/support.h"

namespace winnow::emulation_test {
namespace {

std::vector<std::uintptr_t> lanes(std::size_t stride, std::size_t count = 32, std::uintptr_t base = 4096) {
  std::vector<std::uintptr_t> addresses;
  for (std::size_t i = 0; i < count; ++i) addresses.push_back(base + i * stride);
  return addresses;
}

TEST(AccessHints, SectorsOfAWarp) {
  EXPECT_EQ(sectors_touched(lanes(4), 4), 4u);
  EXPECT_EQ(sectors_touched(lanes(4, 32, 4096 + 4), 4), 5u);  // shifted over a boundary
  EXPECT_EQ(sectors_touched(lanes(128), 4), 32u);
  EXPECT_EQ(sectors_touched(lanes(0), 4), 1u);
  EXPECT_EQ(sectors_touched(lanes(16), 16), 16u);
  EXPECT_EQ(fewest_sectors(lanes(128), 4), 4u);
  EXPECT_EQ(fewest_sectors(lanes(0), 4), 1u);
}
TEST(AccessHints, PassesOverTheBanks) {
  EXPECT_EQ(bank_passes(lanes(4), 4), 1u);
  EXPECT_EQ(bank_passes(lanes(8), 4), 2u);
  EXPECT_EQ(bank_passes(lanes(128), 4), 32u);
  EXPECT_EQ(bank_passes(lanes(132), 4), 1u);  // a padded column
  EXPECT_EQ(bank_passes(lanes(0), 4), 1u);    // one word for all
  EXPECT_EQ(bank_passes(lanes(8), 8), 2u);
  EXPECT_EQ(bank_passes(lanes(16), 16), 4u);
  EXPECT_EQ(fewest_passes(32, 16), 4u);
}

TEST_F(Machine, TransposesShowWhereTheyLose) {
  if (!instrumented()) GTEST_SKIP() << "accesses are seen in the race-checked build only";
  struct Case {
    kernels::Transpose how;
    double device, shared;  // the least efficiency of any line
  };
  for (const Case& c : {Case{kernels::Transpose::Direct, 1.0 / 8, 1}, Case{kernels::Transpose::Tiled, 1, 1.0 / 32},
                        Case{kernels::Transpose::PaddedTile, 1, 1}}) {
    options().access_hints = true;
    clear_access_hints();
    EXPECT_EQ(transpose_error(c.how, stream), 0);
    double device = 1, shared = 1;
    for (const AccessHint& h : access_hints())
      (h.shared ? shared : device) = std::min(h.shared ? shared : device, h.efficiency());
    EXPECT_DOUBLE_EQ(device, c.device) << access_hint_table();
    EXPECT_DOUBLE_EQ(shared, c.shared) << access_hint_table();
    EXPECT_NE(access_hint_table().find("transpose.cu:"), std::string::npos);
  }
  clear_access_hints();
}
TEST_F(Machine, VectorLoadsCountAsOneAccess) {
  if (!instrumented()) GTEST_SKIP() << "accesses are seen in the race-checked build only";
  options().access_hints = true;
  clear_access_hints();
  embedding_bag_error(false, stream);
  std::size_t widest = 0;
  for (const AccessHint& h : access_hints()) widest = std::max(widest, h.bytes);
  EXPECT_EQ(widest, 16u) << access_hint_table();
  clear_access_hints();
}

}  // namespace
}  // namespace winnow::emulation_test
