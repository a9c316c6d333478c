// storage: disk gives what memory gives: splits, vocabularies, rows, batches; and a file of rows that is reused,
// refused when damaged, read in another order each epoch and resumed exactly.
#include <set>

#include "core/file.h"
#include "core/parallel.h"
#include "core/rng.h"
#include "data/batches.h"
#include "data/row_facts.h"
#include "data/row_file.h"
#include "tests/data_files.h"

namespace winnow {
namespace {

constexpr std::array kSplits = {Split::Train, Split::Valid, Split::Test};

const std::string kStore = R"(interactions: {file: views.csv}
users: {file: users.csv}
items: {file: items.csv, title: name}
user_id: user
item_id: item
timestamp: {column: time}
label: {column: clicked}
weight: weight
features:
  - {name: user}
  - {name: age, type: numeric, source: user}
  - {name: city, source: user}
  - {name: item, min_categr_count: 2}
  - {name: price, type: numeric, source: item, normalizer: log_standard}
  - {name: tags, type: multi, source: item, separator: "|", max_len: 3}
  - {name: device, source: context}
  - {name: seconds, type: numeric, source: context, normalizer: quantile}
  - {name: words, type: multi, source: context, max_len: 4}
)";

// n views of a shop with missing cells, bags of both tables, weights, and equal times.
struct Store {
  explicit Store(int n, std::string set = "") : more(std::move(set)) {
    Rng rng(5);
    const auto below = [&rng](uint64_t k) { return static_cast<int>(rng.below(k)); };
    std::string users = "user,age,city\n", items = "item,price,tags,name\n", views;
    for (int u = 0; u < 390; ++u)  // the last ten have no row
      users += fmt::format("u{},{},{}\n", u, u % 9 == 0 ? "" : std::to_string(18 + below(60)),
                           u % 7 == 0 ? "" : "c" + std::to_string(below(30)));
    for (int i = 0; i < 300; ++i)
      items +=
          fmt::format("i{},{}.{},{},Item {}\n", i, below(90), below(10),
                      i % 11 == 0 ? "" : fmt::format("t{}|t{}|t{}|t{}", below(9), below(9), below(99), below(9)), i);
    views = "user,item,time,device,seconds,words,weight,clicked\n";
    for (int v = 0; v < n; ++v)
      views += fmt::format("u{},i{},{},{},{},{},{},{}\n", below(400), below(1 + static_cast<uint64_t>(below(300))),
                           1000000 + v / 3, v % 13 == 0 ? "" : "d" + std::to_string(below(5)),
                           v % 17 == 0 ? "" : std::to_string(below(1000)),
                           v % 5 == 0 ? "" : fmt::format("w{} w{}", below(50), below(2000)), 1 + below(3), below(2));
    directory.write("users.csv", users);
    directory.write("items.csv", items);
    directory.write("views.csv", views);
  }
  Dataset load(const std::string& storage, const std::string& set = "") const {
    Config config = Config::parse(kStore + "\npath: '" + directory.path() + "'\n", "data.yaml");
    config.apply_override("storage=" + storage);
    for (const std::string& s : {more, set})
      if (!s.empty()) config.apply_override(s);
    return load_dataset(parse_schema(config.root()), directory.path() + "/cache");
  }
  std::string row_file() const {
    for (const auto& entry : std::filesystem::directory_iterator(directory.path() + "/cache"))
      if (entry.path().extension() == ".winnow") return entry.path();
    return "";
  }
  TemporaryDirectory directory;
  std::string more;
};

std::vector<std::vector<char>> batches_of(RowSource& source, int64_t batch_size) {
  const BatchSpec spec = source.spec(batch_size);
  std::vector<Tensor> tensors;
  for (const auto& input : spec.inputs) tensors.emplace_back(input.spec);
  std::vector<int32_t> index(static_cast<size_t>(batch_size));
  std::vector<std::vector<char>> batches;
  for (int64_t row = 0; const int64_t live = source.fill({0, row}, batch_size, tensors, index); row += live) {
    std::vector<char>& bytes = batches.emplace_back();
    for (const Tensor& t : tensors) {
      const auto* p = static_cast<const char*>(t.raw());
      bytes.insert(bytes.end(), p, p + t.bytes());
    }
  }
  return batches;
}

void expect_same(const Store& store, const std::string& set) {
  const Dataset memory = store.load("memory", set), disk = store.load("disk", set);
  ASSERT_FALSE(memory.on_disk());
  ASSERT_TRUE(disk.on_disk());
  EXPECT_EQ(memory.map.json(), disk.map.json());
  EXPECT_EQ(memory.user_keys, disk.user_keys);
  EXPECT_EQ(memory.item_keys, disk.item_keys);
  EXPECT_EQ(memory.item_titles, disk.item_titles);
  EXPECT_EQ(memory.rows, disk.rows);
  const auto report = [](LoadReport r) {
    r.seconds = 0;
    return r.json();
  };
  EXPECT_EQ(report(memory.report), report(disk.report));
  for (const Split s : kSplits) {
    const auto a = make_row_source(memory, s, false), b = make_row_source(disk, s, false);
    EXPECT_EQ(batches_of(*a, 1000), batches_of(*b, 1000)) << name_of(s) << " " << set;
  }
}

TEST(Storage, DiskGivesTheBatchesOfMemory) {
  const Store store(200000);
  expect_same(store, "");
}

TEST(Storage, EverySplitIsTheSame) {
  const Store store(6000);
  for (const char* split : {"{method: random}", "{method: stratified}", "{method: stratified, by: device}",
                            "{method: leave_last_out}", "{method: user}", "{method: kfold, folds: 4, fold: 2}",
                            "{method: kfold, folds: 3, fold: 0, test_method: random}"})
    expect_same(store, std::string("split=") + split);
}

TEST(Storage, ThreadsDoNotChangeTheFile) {
  const Store store(30000);
  std::vector<std::string> files;
  for (const int threads : {1, 2, 5}) {
    set_num_threads(threads);
    std::filesystem::remove_all(store.directory.path() + "/cache");
    store.load("disk");
    std::string text = read_text(store.row_file(), size_t{1} << 30);
    files.push_back(text.substr(0, text.rfind("\"seconds\"")));
    EXPECT_EQ(files.back(), files.front());
  }
  set_num_threads(2);
}

TEST(Storage, TheFileIsReusedUntilSomethingChanges) {
  const Store store(3000);
  EXPECT_FALSE(store.load("disk").report.reused);
  const Dataset again = store.load("disk");
  EXPECT_TRUE(again.report.reused);
  EXPECT_EQ(again.report.rows_read, 3000);
  EXPECT_NE(again.report.str().find("encoded by an earlier run"), std::string::npos);
  EXPECT_FALSE(store.load("disk", "seed=7").report.reused) << "another schema";
  EXPECT_TRUE(store.load("disk").report.reused) << "each schema has its own file";
  store.directory.write("users.csv", read_text(store.directory.path() + "/users.csv", 1 << 20) + "u9999,30,Ulm\n");
  EXPECT_FALSE(store.load("disk").report.reused) << "a side table changed";
}

TEST(Storage, ADamagedFileIsMadeAnewOrRefused) {
  const Store store(3000);
  const std::string good = store.load("memory").map.json();
  store.load("disk");
  const std::string path = store.row_file(), text = read_text(path, size_t{1} << 30);
  const auto write = [&](const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; };
  for (size_t at = 0; at < text.size(); at += 997) {
    std::string broken = text;
    broken[at] = static_cast<char>(broken[at] ^ 0x20);
    write(broken);
    try {
      const Dataset d = store.load("disk");
      EXPECT_EQ(d.map.json(), good);
      if (d.report.reused)
        for (const Split s : kSplits) for_each_facts(d, s, [](const RowFacts&) {});
      EXPECT_FALSE(d.report.reused) << "byte " << at << " of " << text.size();
    } catch (const DataError& e) {
      EXPECT_NE(std::string(e.what()).find("remove the file"), std::string::npos) << e.what();
    }
  }
  for (const size_t size : {size_t{0}, size_t{7}, size_t{40}, text.size() / 2, text.size() - 1}) {
    write(text.substr(0, size));
    EXPECT_FALSE(store.load("disk").report.reused) << size;
  }
}

std::vector<int32_t> rest_of_epoch(BatchSource& source) {
  std::vector<int32_t> rows;
  for (BatchSlot slot; source.next(slot);) rows.insert(rows.end(), slot.index.begin(), slot.index.end());
  return rows;
}

TEST(Storage, ShufflesByBlocksAndResumesExactly) {
  const Store store(700000, "features=[{name: user}, {name: device, source: context}]");
  const Dataset d = store.load("disk");
  ASSERT_GT(d.file->blocks(Split::Train), 2 * size_t{128}) << "more than two windows";
  BatchSource source(make_training_source(d, 9), {4096, 2});
  const auto first = rest_of_epoch(source);
  source.start_epoch(1);
  const auto second = rest_of_epoch(source);
  EXPECT_NE(first, second);
  std::vector<int32_t> sorted = first;
  std::ranges::sort(sorted);
  ASSERT_EQ(static_cast<int64_t>(sorted.size()), d.split_rows(Split::Train));
  for (size_t i = 0; i < sorted.size(); ++i) ASSERT_EQ(sorted[i], static_cast<int32_t>(i)) << "each row once";
  // neighbours in the file are far apart: the correlation of positions and rows is that of a permutation of blocks
  int64_t close = 0;
  for (size_t i = 1; i < first.size(); ++i) close += std::abs(first[i] - first[i - 1]) < 2048;
  EXPECT_LT(static_cast<double>(close) / static_cast<double>(first.size()), 0.05);
  for (const int64_t row : {int64_t{0}, int64_t{4096}, int64_t{70} * 4096, int64_t{100} * 4096}) {
    BatchSource resumed(make_training_source(d, 9), {4096, 1});
    resumed.seek({1, row});
    EXPECT_EQ(rest_of_epoch(resumed), std::vector<int32_t>(second.begin() + row, second.end()));
  }
}

TEST(Storage, SampledNegativesNeedMemory) {
  const std::string yaml = replaced(replaced(kSmallShop, "label: {column: clicked, rule: \">= 4\"}\n", ""),
                                    "split:", "negatives: {per_positive: 2}\nstorage: disk\nsplit:");
  try {
    schema_of(yaml, "");
    FAIL() << "no error";
  } catch (const ConfigError& e) {
    EXPECT_NE(std::string(e.what()).find("storage: disk needs a label"), std::string::npos) << e.what();
  }
}

TEST(Storage, ErrorsNamePlaceAndReasonOnDiskToo) {
  const std::string yaml = kSmallShop + "storage: disk\n";
  const auto error = [&](const char* from, const char* to) {
    auto files = small_shop();
    files["views.csv"] = replaced(files["views.csv"], from, to);
    const TemporaryDirectory directory;
    for (const auto& [name, text] : files) directory.write(name, text);
    try {
      load_dataset(schema_of(yaml, directory.path()), directory.path() + "/cache");
    } catch (const Error& e) { return std::string(e.what()); }
    return std::string("no error");
  };
  EXPECT_NE(error("1001,1,2", "1001,1x,2").find("views.csv:3: column 'price': '1x' is not a number"),
            std::string::npos);
  EXPECT_NE(error("1001,1,2", "noon,1,2").find("views.csv:3: column 'time': 'noon' is not a time"), std::string::npos);
  EXPECT_NE(error("1019,3,2", "1019,3z,2").find("views.csv:21: column 'price': '3z'"), std::string::npos)
      << "a row of the test split";
  EXPECT_THROW(load_dataset(schema_of(yaml, "/nowhere")), Error);
}

}  // namespace
}  // namespace winnow
