// Histories: only what was before a row, of its own user, without its own item.
#include "data/item_history.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/data_files.h"

namespace winnow {
namespace {

// What the definition says, row by row.
std::vector<int32_t> slow_history(const Dataset& d, int32_t row, const HistoryOptions& options) {
  const auto r = static_cast<size_t>(row);
  const auto training = [&](size_t q) { return std::ranges::find(d.train, static_cast<int32_t>(q)) != d.train.end(); };
  std::vector<size_t> before;
  for (size_t q = 0; q < d.user.size(); ++q)
    if (d.user[q] == d.user[r] && d.timestamp[q] < d.timestamp[r] && d.label[q] > 0.5f && d.item[q] != d.item[r] &&
        (!options.frozen || training(r) || training(q)))
      before.push_back(q);
  std::ranges::stable_sort(before, [&](size_t a, size_t b) { return d.timestamp[a] < d.timestamp[b]; });
  std::vector<int32_t> out;
  for (size_t i = before.size(); i-- > 0 && static_cast<int64_t>(out.size()) < options.len;)
    if (std::ranges::find(out, d.item[before[i]]) == out.end()) out.push_back(d.item[before[i]]);
  return out;
}

class ItemHistoryTest : public ::testing::Test {
 protected:
  Dataset dataset() const {
    std::string rows = "user,item,time\n";
    for (int i = 0; i < 300; ++i)
      rows += fmt::format("u{},i{},{}\n", i * 5 % 11, i * 7 % 23 % (3 + i % 13), 1000 + i / 3);
    return load({{"buys.csv", rows}, {"items.csv", items()}}, R"(interactions: {file: buys.csv}
items: {file: items.csv, title: name}
user_id: user
item_id: item
timestamp: {column: time}
negatives: {per_positive: 2}
split: {train: 0.6, valid: 0.2, test: 0.2}
features:
  - {name: user, source: user}
  - {name: item, source: item}
  - {name: tags, type: multi, source: item, separator: "|", max_len: 3}
)");
  }
  static std::string items() {
    std::string text = "item,name,tags\n";
    for (int i = 0; i < 23; ++i) text += fmt::format("i{},thing {},{}\n", i, i, i % 2 ? "red|big" : "blue");
    return text;
  }
};

TEST_F(ItemHistoryTest, NothingOfTheRowsMomentOrLaterAndNotItsOwnItem) {
  const Dataset d = dataset();
  for (const bool frozen : {false, true}) {
    const HistoryOptions options{.len = 4, .frozen = frozen};
    const ItemHistory history(d, options);
    std::vector<int32_t> out(4);
    size_t taken = 0;
    for (int32_t r = 0; r < d.rows; ++r) {
      const size_t n = history.of(r, out);
      ASSERT_EQ(std::vector<int32_t>(out.begin(), out.begin() + static_cast<int64_t>(n)), slow_history(d, r, options))
          << "row " << r << " frozen " << frozen;
      taken += n;
    }
    EXPECT_GT(taken, 100u);
  }
}

// Whatever happens later, a row's history is the same: that of the rows before it alone.
TEST_F(ItemHistoryTest, LaterRowsDoNotChangeIt) {
  Dataset d = dataset();
  const ItemHistory history(d, {.len = 5});
  std::vector<int32_t> before(5), after(5);
  const int32_t row = d.valid[d.valid.size() / 2];
  const size_t n = history.of(row, before);
  const int64_t now = d.timestamp[static_cast<size_t>(row)];
  for (size_t r = 0; r < d.label.size(); ++r)
    if (d.timestamp[r] >= now) d.label[r] = d.label[r] > 0.5f ? 0.f : 1.f, d.item[r] = static_cast<int32_t>(r % 23);
  d.item[static_cast<size_t>(row)] = dataset().item[static_cast<size_t>(row)];
  const ItemHistory changed(d, {.len = 5});
  EXPECT_EQ(changed.of(row, after), n);
  EXPECT_EQ(before, after);
}

TEST_F(ItemHistoryTest, TextsAreTitlesAndTheValuesOfFeatures) {
  const Dataset d = dataset();
  const auto texts = item_texts(d, {"tags"});
  for (size_t i = 0; i < texts.size(); ++i) {
    const int number = std::stoi(d.item_keys[i].substr(1));
    EXPECT_EQ(texts[i], fmt::format("thing {} {}", number, number % 2 ? "red big" : "blue"));
  }
  EXPECT_THROW((void)item_texts(d, {"user"}), ConfigError);
}

}  // namespace
}  // namespace winnow
