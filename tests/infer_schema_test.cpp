// winnow data schema: what it makes of real and synthetic tables loads and trains as it is.
#include "data/infer_schema.h"

#include <cmath>
#include <random>

#include "core/text.h"
#include "data/hash.h"
#include "data/synthetic.h"
#include "tests/data_files.h"
#include "train/options.h"

namespace winnow {
namespace {

SourceSpec file_at(const std::string& path) {
  SourceSpec source;
  source.path = path;
  return source;
}

// Reads the whole config as `winnow train ctr` does, strictly, and loads the data.
Dataset load_inferred(const InferredSchema& schema) {
  Config config = Config::parse(schema.yaml(), "inferred.yaml");
  const ConfigNode root = config.root();
  const Schema parsed = parse_schema(root.child("data"));
  read_ctr_options(root.child("model"));
  read_train_options(root.child("train"));
  config.finish();
  return load_dataset(parsed);
}

const InferredColumn& column(const InferredSchema& schema, const std::string& name) {
  for (const InferredColumn& c : schema.columns)
    if (c.profile.name() == name) return c;
  throw std::runtime_error("no column " + name);
}
std::string kind(const InferredSchema& schema, const std::string& name) {
  const InferredColumn& c = column(schema, name);
  return c.type.empty() ? c.role : c.source + " " + c.type;
}

TEST(InferSchema, SyntheticStore) {
  const TemporaryDirectory directory;
  write_synthetic_store(directory.path(), {100, 100, 20000});  // several sessions a user, at several hours
  const InferredSchema s = infer_schema({.source = file_at(directory.path() + "/impressions.csv")});
  EXPECT_EQ(kind(s, "user_id"), "user categorical");
  EXPECT_EQ(kind(s, "item_id"), "item categorical");
  EXPECT_EQ(kind(s, "timestamp"), "timestamp");
  EXPECT_EQ(kind(s, "clicked"), "label");
  EXPECT_EQ(kind(s, "hour"), "context categorical");
  EXPECT_EQ(column(s, "device").type, "categorical");
  const Dataset d = load_inferred(s);
  EXPECT_EQ(d.rows, 20000);
}

// Ratings with the users' and items' attributes in every row: tab-separated, typed header, lists, texts, a constant.
TEST(InferSchema, MovieLensLikeTable) {
  std::mt19937 random(7);
  const auto below = [&](unsigned n) { return static_cast<unsigned>(random() % n); };
  const char* genres[] = {"Drama", "Comedy", "Action", "Thriller", "Children's"};
  std::vector<std::string> titles, classes;
  for (int i = 0; i < 80; ++i) {
    titles.push_back(fmt::format("The {} film about number {}", genres[below(5)], i));
    classes.push_back(std::string(genres[below(5)]) + (i % 2 == 0 ? " " + std::string(genres[below(5)]) : ""));
  }
  std::string text =
      "user_id:token\titem_id:token\trating:float\ttimestamp:float\tage:token\tzip_code:token\ttitle:token_seq\t"
      "class:token_seq\tvotes:float\tshop:token\treview:token\tseen:token_seq\n";
  for (int i = 0; i < 3000; ++i) {
    const unsigned u = below(60), m = below(80);
    text += fmt::format("{}\t{}\t{}\t{}\t{}\t{:05}\t{}\t{}\t{}\tweb\tr{}\t{}>{}>{}\n", u, m, "1234455"[below(7)],
                        880000000 + i * 100, 18 + u % 50, u * 977, titles[m], classes[m], m * m * m, i, below(80),
                        below(80), below(80));
  }
  const TemporaryDirectory directory;
  directory.write("ml.inter", text);
  const InferredSchema s = infer_schema({.source = file_at(directory.path() + "/ml.inter")});
  EXPECT_EQ(kind(s, "timestamp"), "timestamp");
  EXPECT_EQ(kind(s, "rating"), "label");
  EXPECT_EQ(s.label_rule, ">= 4") << "four sevenths of the ratings: nearer to one half than two or five sevenths";
  EXPECT_EQ(kind(s, "age"), "user numeric");
  EXPECT_EQ(kind(s, "zip_code"), "user categorical");
  EXPECT_EQ(kind(s, "title"), "item text");
  EXPECT_EQ(kind(s, "class"), "item multi");
  EXPECT_EQ(kind(s, "votes"), "item numeric");
  EXPECT_EQ(kind(s, "shop"), "out") << "a constant";
  EXPECT_EQ(kind(s, "review"), "out") << "a new value in every row";
  EXPECT_EQ(kind(s, "seen"), "context sequence");
  const Dataset d = load_inferred(s);
  EXPECT_EQ(d.rows, 3000);
  EXPECT_NE(s.yaml().find("# - {name: review}"), std::string::npos);
  EXPECT_NE(s.json().find("\"role\": \"timestamp\""), std::string::npos);
}

TEST(InferSchema, OnlineRetailsFirstRows) {
  const char* data = std::getenv("WINNOW_DATA");
  const std::string packed = std::string(data != nullptr ? data : "../shared/data") + "/online_retail.csv.zst";
  if (!std::filesystem::exists(packed))
    GTEST_SKIP() << packed << " is missing; WINNOW_DATA names the folder that has it";
  const TemporaryDirectory folder;
  const std::string unpack = "zstd -dqc '" + packed + "' | head -20000 > '" + folder.path() + "/first.csv'";
  if (std::system(unpack.c_str()) != 0) GTEST_SKIP() << "zstd could not unpack " << packed;
  const InferredSchema s = infer_schema({.source = file_at(folder.path() + "/first.csv")});
  EXPECT_EQ(kind(s, "CustomerID"), "user categorical");
  EXPECT_EQ(kind(s, "StockCode"), "item categorical");
  EXPECT_EQ(kind(s, "InvoiceDate"), "timestamp");
  EXPECT_EQ(kind(s, "Description"), "item text");
  EXPECT_EQ(kind(s, "Country"), "user categorical");
  EXPECT_EQ(kind(s, "UnitPrice"), "item numeric");
  EXPECT_TRUE(s.drop_missing_user);
  const Dataset d = load_inferred(s);
  EXPECT_GT(d.report.negatives, 0);
}

TEST(InferSchema, AsksForWhatNamesDoNotTell) {
  const TemporaryDirectory directory;
  std::string text = "who,what,Größe,true\n";
  for (int i = 0; i < 50; ++i) text += fmt::format("a{},b{},{},{}\n", i % 7, i % 9, i, i % 2);
  directory.write("x.csv", text);
  const SourceSpec source = file_at(directory.path() + "/x.csv");
  const auto error = [](const InferOptions& options) {
    try {
      infer_schema(options);
    } catch (const Error& e) { return std::string(e.what()); }
    return std::string("no error");
  };
  EXPECT_EQ(error({.source = source}),
            "no column is named like a user; say which it is with --user (columns: 'who', 'what', 'Gr\xC3\xB6\xC3\x9F"
            "e', 'true')");
  EXPECT_NE(error({.source = source, .user = "hwo", .item = "what"}).find("did you mean 'who'?"), std::string::npos);
  EXPECT_NE(error({.source = source, .user = "who", .item = "what", .time = "Größe"}).find("fit none of the known"),
            std::string::npos);
  const InferredSchema s = infer_schema({.source = source, .user = "who", .item = "what", .label = "true"});
  EXPECT_EQ(load_inferred(s).rows, 50) << "a column named true, and one beyond ASCII";
  EXPECT_NE(s.yaml().find("method: random"), std::string::npos);
}

TEST(InferSchema, OtherSeparatorsAreSeenInTheHeader) {
  const TemporaryDirectory directory;
  std::string text = "user;item;clicked;at\n";
  for (int i = 0; i < 60; ++i) text += fmt::format("{};{};{};2024-01-{:02}\n", i % 7, i % 9, i % 2, 1 + i / 2);
  directory.write("x.csv", text);
  const InferredSchema s = infer_schema({.source = file_at(directory.path() + "/x.csv")});
  EXPECT_EQ(kind(s, "at"), "timestamp");
  EXPECT_EQ(load_inferred(s).rows, 60);
}

TEST(DistinctCount, ExactThenWithinTwoPercent) {
  DistinctCount count;
  int64_t next = 0;
  for (const int64_t n : {1, 100, 2048, 5000, 40000, 300000}) {
    for (; next < n; ++next)
      for (int twice = 0; twice < 2; ++twice) count.add(xxh64(std::to_string(next)));
    EXPECT_EQ(count.exact(), n <= 2048);
    EXPECT_NEAR(static_cast<double>(count.count()), static_cast<double>(n),
                n <= 2048 ? 0 : 0.025 * static_cast<double>(n));
  }
}

}  // namespace
}  // namespace winnow
