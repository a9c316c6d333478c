// A small shop as a catalogue: films with genres and stock, random likes over a year.
#pragma once
#include <memory>

#include "core/rng.h"
#include "data/catalogue.h"
#include "tests/data_files.h"

namespace winnow {

struct SmallCatalogue {
  static constexpr int64_t kUsers = 40, kItems = 36;
  explicit SmallCatalogue(uint64_t seed = 1) {
    const char* genres[] = {"drama", "comedy", "war", "drama|war", "comedy|crime", "crime"};
    std::string items = "item,genres,stock,name\n", users = "user,city\n", views = "user,item,time,liked\n";
    for (int64_t i = 0; i < kItems; ++i)
      items += fmt::format("i{},{},{},{}\n", i, genres[i % 6], i % 9 == 8 ? "no" : "yes", title(i));
    for (int64_t u = 0; u < kUsers; ++u) users += fmt::format("u{},{}\n", u, u % 3 == 0 ? "Ulm" : "Bonn");
    Rng rng(seed, 9);
    for (int64_t n = 0; n < 1200; ++n) {
      const auto user = static_cast<int64_t>(rng.below(kUsers - 1));  // the last one has nothing before the test split
      const auto item = static_cast<int64_t>(rng.uniform() * rng.uniform() * (kItems - 2));
      views += fmt::format("u{},i{},{},{}\n", user, item, 1700000000 + n * 20000, rng.uniform() < 0.6 ? 1 : 0);
    }
    views += fmt::format("u{},i{},{},1\n", kUsers - 1, kItems - 1, 1800000000);
    dataset =
        load({{"views.csv", views}, {"users.csv", users}, {"items.csv", items}}, R"(interactions: {file: views.csv}
users: {file: users.csv}
items: {file: items.csv, title: name}
user_id: user
item_id: item
timestamp: {column: time}
label: {column: liked}
split: {train: 0.8, valid: 0.1, test: 0.1}
features:
  - {name: user, source: user}
  - {name: city, source: user}
  - {name: item, source: item}
  - {name: genres, type: multi, source: item, separator: "|", max_len: 3}
  - {name: stock, source: item}
)");
    write_catalogue(path(), dataset);
    catalogue = std::make_unique<Catalogue>(path(), dataset.map);
  }
  static std::string title(int64_t item) {
    const char* words[] = {"red", "green", "blue", "quiet", "lonely", "golden"};
    const char* things[] = {"river", "planet", "orchestra", "winter", "harbour", "mountain", "garden"};
    return fmt::format("The {} {}", words[item % 6], things[item % 7]);
  }
  std::string path() const { return directory.path() + "/catalogue.safetensors"; }
  int64_t item(int64_t i) const { return catalogue->find_item(fmt::format("i{}", i)); }
  int64_t user(int64_t u) const { return catalogue->find_user(fmt::format("u{}", u)); }

  TemporaryDirectory directory;
  Dataset dataset;
  std::unique_ptr<Catalogue> catalogue;
};

}  // namespace winnow
