// The catalogue of a run: what it says of users and items is what the data set says, from either storage, and a
// damaged one is an error.
#include "data/catalogue.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "core/file.h"
#include "data/synthetic.h"
#include "tests/data_files.h"
#include "tests/error_text.h"
#include "train/candidates.h"
#include "train/run.h"

namespace winnow {
namespace {

class CatalogueTest : public ::testing::Test {
 protected:
  CatalogueTest() {
    write_synthetic_store(store(), {.users = 60, .items = 40, .impressions = 3000, .pictures = 0});
    dataset_ = load();
    write_catalogue(path(), dataset_);
  }
  Dataset load(const std::vector<std::string>& sets = {}) const {
    std::vector<std::string> all = {"data.path='" + store() + "'"};
    all.insert(all.end(), sets.begin(), sets.end());
    return load_dataset(CtrConfig(CommonOptions{"examples/ctr/synthetic.yaml", all}).schema, directory_.path());
  }
  std::string store() const { return directory_.path() + "/store"; }
  std::string path() const { return directory_.path() + "/catalogue.safetensors"; }
  EncodedRow row_of(const Dataset& d, int32_t row, int32_t item_row) const {
    EncodedRow r;
    const auto fields = static_cast<size_t>(d.fields());
    for (size_t f = 0; f < fields; ++f) {
      const bool item = side_of(d.map.field(f)) == FeatureSide::Item;
      const size_t bag = static_cast<size_t>(item ? item_row : row) * fields + f;
      const size_t begin = d.offsets.empty() ? bag : static_cast<size_t>(d.offsets[bag]),
                   end = d.offsets.empty() ? bag + 1 : static_cast<size_t>(d.offsets[bag + 1]);
      for (size_t k = begin; k < end; ++k) r.ids.push_back(d.ids[k]);
      r.lengths.push_back(static_cast<int32_t>(end - begin));
    }
    for (size_t k = 0; k < d.map.numbers().size(); ++k) {
      const bool item = side_of(d.map.features[static_cast<size_t>(d.map.numbers()[k])]) == FeatureSide::Item;
      for (int64_t at = d.map.dense_begin(k); at < d.map.dense_begin(k + 1); ++at)
        r.dense.push_back(d.dense[static_cast<size_t>((item ? item_row : row) * d.numbers() + at)]);
    }
    return r;
  }
  TemporaryDirectory directory_;
  Dataset dataset_;
};

TEST_F(CatalogueTest, RowsAreThoseThatRankTheCatalogue) {
  const Catalogue c(path(), dataset_.map);
  ASSERT_EQ(c.users(), static_cast<int64_t>(dataset_.user_keys.size()));
  ASSERT_EQ(c.items(), static_cast<int64_t>(dataset_.item_keys.size()));
  const Profiles profiles(dataset_);
  EncodedRow row;
  std::vector<bool> known(dataset_.item_keys.size());
  for (const int32_t i : dataset_.item) known[static_cast<size_t>(i)] = true;
  for (int64_t u = 0; u < c.users(); ++u)
    for (int64_t i = 0; i < c.items(); ++i) {
      if (!known[static_cast<size_t>(i)]) continue;
      c.row(u, i, row);
      const EncodedRow wanted =
          row_of(dataset_, profiles.user_row[static_cast<size_t>(u)], profiles.item_row[static_cast<size_t>(i)]);
      ASSERT_EQ(row.ids, wanted.ids);
      ASSERT_EQ(row.lengths, wanted.lengths);
      ASSERT_EQ(row.dense, wanted.dense);
    }
  for (int64_t i = 0; i < c.items(); ++i) {
    EXPECT_EQ(c.find_item(c.item_key(i)), i);
    EXPECT_EQ(c.item_title(i), dataset_.item_titles.empty() ? "" : dataset_.item_titles[static_cast<size_t>(i)]);
  }
  EXPECT_EQ(c.find_item("no such item"), -1);
}

TEST_F(CatalogueTest, TakenItemsAreTheInteractionsBeforeTheTestSplit) {
  const Catalogue c(path(), dataset_.map);
  const UserItemLists wanted(dataset_, {Split::Train, Split::Valid}, dataset_.report.negatives > 0);
  std::vector<int64_t> positives(static_cast<size_t>(c.items()));
  for (int64_t u = 0; u < c.users(); ++u) {
    std::vector<int64_t> list(c.taken_items(u).begin(), c.taken_items(u).end());
    std::vector<int64_t> from(wanted.items.begin() + wanted.offsets[static_cast<size_t>(u)],
                              wanted.items.begin() + wanted.offsets[static_cast<size_t>(u) + 1]);
    for (int64_t n = 0; n < c.taken(u); ++n) {
      if (n > 0) { EXPECT_LE(c.taken(u, n - 1).time, c.taken(u, n).time); }
      if (c.taken(u, n).label > 0.5f) ++positives[static_cast<size_t>(c.taken(u, n).item)];
    }
    std::ranges::sort(list), std::ranges::sort(from);
    EXPECT_EQ(list, from);
  }
  for (int64_t i = 0; i < c.items(); ++i) EXPECT_EQ(c.positives(i), positives[static_cast<size_t>(i)]);
  EXPECT_GT(std::accumulate(positives.begin(), positives.end(), int64_t{0}), 0);
}

TEST_F(CatalogueTest, DataOnDiskHasTheSameCatalogue) {
  const Dataset disk = load({"data.storage=disk"});
  ASSERT_TRUE(disk.on_disk());
  const std::string other = directory_.path() + "/disk.safetensors";
  write_catalogue(other, disk);
  const Catalogue a(path(), dataset_.map), b(other, disk.map);
  ASSERT_EQ(a.users(), b.users());
  EncodedRow x, y;
  for (int64_t u = 0; u < a.users(); ++u) {
    const int64_t v = b.find_user(a.user_key(u));
    ASSERT_GE(v, 0);
    const int64_t i = u % a.items();
    a.row(u, i, x), b.row(v, b.find_item(a.item_key(i)), y);
    EXPECT_EQ(x.ids, y.ids);
    EXPECT_EQ(x.dense, y.dense);
    EXPECT_EQ(a.taken(u), b.taken(v));
  }
}

TEST_F(CatalogueTest, ValuesOfAnItemAreTheTextsOfItsIds) {
  const Catalogue c(path(), dataset_.map);
  int64_t found = 0;
  for (size_t f = 0; f < dataset_.map.features.size(); ++f) {
    const FittedFeature& feature = dataset_.map.features[f];
    if (side_of(feature) != FeatureSide::Item || !has_ids(feature.spec) || !has_vocabulary(feature.spec)) continue;
    for (int64_t i = 0; i < c.items(); ++i)
      for (const std::string_view value : c.values(i, f)) {
        EXPECT_GT(feature.vocabulary.id(value), 0);
        EXPECT_LT(feature.vocabulary.id(value), feature.vocabulary.oov());
        if (feature.spec.column == dataset_.map.item_id) { EXPECT_EQ(value, c.item_key(i)); }
        ++found;
      }
  }
  EXPECT_GT(found, c.items());
}

TEST_F(CatalogueTest, AStrangerHasNoFeatures) {
  const Catalogue c(path(), dataset_.map);
  EncodedRow row;
  c.row(-1, 0, row);
  size_t at = 0;
  for (size_t f = 0; f < dataset_.map.fields().size(); ++f) {
    const FittedFeature& feature = dataset_.map.field(f);
    for (int32_t k = 0; k < row.lengths[f]; ++k, ++at)
      if (side_of(feature) == FeatureSide::User && !reads_numbers(feature.spec) && !feature.spec.fill_na) {
        EXPECT_EQ(row.ids[at], feature.spec.column == dataset_.map.user_id ? feature.oov() : Vocabulary::kPad);
      }
  }
}

TEST_F(CatalogueTest, DamageIsAnError) {
  FeatureMap other = dataset_.map;
  other.features.pop_back();
  other.index();
  EXPECT_NE(text_of<IoError>([&] { Catalogue(path(), other); }).find("another feature_map.json"), std::string::npos);
  std::string bytes = read_text(path(), 1 << 28);
  for (size_t at = 0; at < bytes.size(); at += 97) {
    std::string broken = bytes;
    broken[at] = static_cast<char>(broken[at] ^ 0x10);
    write_atomically(path(), broken);
    EXPECT_THROW(Catalogue(path(), dataset_.map), IoError) << at;
  }
  for (size_t length : {size_t{0}, size_t{7}, size_t{100}, bytes.size() - 1}) {
    write_atomically(path(), bytes.substr(0, length));
    EXPECT_THROW(Catalogue(path(), dataset_.map), IoError) << length;
  }
}

}  // namespace
}  // namespace winnow
