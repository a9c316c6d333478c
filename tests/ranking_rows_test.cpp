// Graded rows of queries: one table in every layout gives the same rows; splits and scaling see what they may.
#include "data/ranking_rows.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "data/group_sizes.h"
#include "data/ranking_data.h"
#include "tests/data_files.h"
#include "tests/error_text.h"

namespace winnow {
namespace {

RankingSource table(const std::string& path, const std::string& format, const std::string& groups = "") {
  RankingSource s;
  s.source.path = path;
  s.source.format = format;
  s.groups = groups;
  return s;
}
RankingColumns all_columns() {
  RankingColumns columns;
  columns.all_features = true;
  return columns;
}
const RankingColumns kAll = all_columns();

RankingSchema schema(const std::string& yaml, const std::string& path, bool texts = false) {
  Config config = Config::parse(yaml + "\npath: '" + path + "'\n", "data.yaml");
  RankingSchema s = parse_ranking_schema(config.root(), texts);
  config.finish();
  return s;
}

TEST(GroupSizes, OneALineWithBlanksPassedOver) {
  EXPECT_EQ(parse_group_sizes("3\n 1\t\r\n\n0\n2", "x.query"), (std::vector<int64_t>{0, 3, 4, 4, 6}));
  EXPECT_EQ(parse_group_sizes("", "x.query"), (std::vector<int64_t>{0}));
}
TEST(GroupSizes, ErrorsNameThePlace) {
  EXPECT_EQ(text_of<DataError>([] { parse_group_sizes("3\n -1\n", "x.query"); }),
            "x.query:2:2: '-1' is not the number of rows of a query");
  EXPECT_EQ(text_of<DataError>([] { parse_group_sizes("3\n4 5\n", "x.query"); }),
            "x.query:2:1: '4 5' is not the number of rows of a query");
  EXPECT_EQ(text_of<DataError>([] { parse_group_sizes("2147483647\n1\n", "x.query"); }),
            "x.query:2:1: more than 2147483647 rows in all");
}

TEST(RankingRows, EveryLayoutGivesTheSameRows) {
  const TemporaryDirectory d;
  d.write("a.svm", "2 1:0.5 7:1\n0 7:2\n1 1:3\n");
  d.write("a.query", "2\n1\n");
  d.write("b.svm", "2 qid:5 1:0.5 7:1\n0 qid:5 7:2\n1 qid:9 1:3\n");
  d.write("c.csv", "qid,label,1,7\n5,2,0.5,1\n9,1,3,0\n5,0,0,2\n");  // the rows of query 5 are apart
  const RankingRows a = read_ranking_rows(table(d.path() + "/a.svm", "libsvm", d.path() + "/a.query"), kAll);
  EXPECT_EQ(a.queries, (std::vector<std::string>{"1", "2"}));
  EXPECT_EQ(a.features, (std::vector<std::string>{"1", "7"}));
  EXPECT_EQ(a.values, (std::vector<float>{0.5f, 1, 0, 2, 3, 0}));
  const RankingRows b = read_ranking_rows(table(d.path() + "/b.svm", "libsvm"), kAll);
  const RankingRows c = read_ranking_rows(table(d.path() + "/c.csv", "csv"), kAll);
  EXPECT_EQ(b.queries, (std::vector<std::string>{"5", "9"}));
  EXPECT_EQ(c.queries, b.queries);
  EXPECT_EQ(c.source_rows, (std::vector<int64_t>{0, 2, 1}));
  for (const RankingRows* r : {&b, &c}) {
    EXPECT_EQ(r->labels, a.labels);
    EXPECT_EQ(r->offsets, a.offsets);
    EXPECT_EQ(r->features, a.features);
    EXPECT_EQ(r->values, a.values);
  }
}

TEST(RankingRows, AnotherTableTakesTheFeaturesOfTraining) {
  const TemporaryDirectory d;
  d.write("test.svm", "1 qid:1 3:4 8:9\n0 qid:1 8:1\n");
  const std::vector<std::string> like = {"1", "3"};
  const RankingRows r = read_ranking_rows(table(d.path() + "/test.svm", "libsvm"), kAll, false, &like);
  EXPECT_EQ(r.features, like);
  EXPECT_TRUE(std::isnan(r.values[0])) << "absent is missing where it is not zero";
  EXPECT_EQ(r.values[1], 4);
}

TEST(RankingRows, ErrorsNameFileLineAndColumn) {
  const TemporaryDirectory d;
  const auto fails = [&](const std::string& text, const std::string& format, const std::string& groups = "") {
    d.write("x", text);
    return text_of<DataError>([&] { read_ranking_rows(table(d.path() + "/x", format, groups), kAll); });
  };
  const auto expect = [&](const std::string& got, const std::string& part) {
    EXPECT_NE(got.find(part), std::string::npos) << got;
  };
  expect(fails("1 1:2\n", "libsvm"), "x:1: column 'qid': a row without a query");
  expect(fails("qid,label,f\n1,-2,3\n", "csv"), "x:2: column 'label': a grade must be a number that is not negative");
  expect(fails("qid,label,f\n1,,3\n", "csv"), "x:2: column 'label': a grade");
  expect(fails("qid,label,f\n1,2,red\n", "csv"), "x:2: column 'f': 'red' is not a number; name the features");
  expect(fails("qid,labell,f\n1,2,3\n", "csv"), "labell");
  expect(fails("qid,label,f\n", "csv"), "no rows");
  d.write("sizes", "2\n");
  expect(fails("1 1:2\n", "libsvm", d.path() + "/sizes"), "the groups have 2 rows");
}

std::string many_queries() {
  std::string text = "qid,label,price,shown\n";
  for (int q = 0; q < 20; ++q)
    for (int r = 0; r < 3; ++r) text += fmt::format("q{},{},{},{}\n", q, (q + r) % 3, 10 * q + r, q);
  return text;
}

TEST(RankingData, SplitsTakeWholeQueriesAndAreTheSameForTheSameSeed) {
  const TemporaryDirectory d;
  d.write("rows.csv", many_queries());
  const std::string yaml = "train: {file: rows.csv}\nvalid_fraction: 0.2\ntest_fraction: 0.25\nseed: 3";
  const RankingData a = load_ranking_data(schema(yaml, d.path())), b = load_ranking_data(schema(yaml, d.path()));
  EXPECT_EQ(a.split(Split::Train).rows.query_count(), 11);
  EXPECT_EQ(a.split(Split::Valid).rows.query_count(), 4);
  EXPECT_EQ(a.split(Split::Test).rows.query_count(), 5);
  std::set<std::string> seen;
  for (const Split s : {Split::Train, Split::Valid, Split::Test}) {
    EXPECT_EQ(a.split(s).rows.queries, b.split(s).rows.queries);
    EXPECT_EQ(a.split(s).rows.rows(), 3 * a.split(s).rows.query_count());
    for (const std::string& q : a.split(s).rows.queries) EXPECT_TRUE(seen.insert(q).second) << q << " is in two splits";
  }
}

TEST(RankingData, FeaturesAreScaledOnTheTrainingQueriesAndWithinEachQuery) {
  const TemporaryDirectory d;
  d.write("train.csv", "qid,label,a,b\n1,1,1,5\n1,0,3,5\n2,1,5,\n2,0,7,9\n");
  d.write("test.csv", "qid,label,a,b\n7,1,4,5\n7,0,8,7\n");
  const std::string tables = "train: {file: train.csv}\nvalid: {file: test.csv}\ntest: {file: test.csv}\n";
  const RankingData plain = load_ranking_data(schema(tables, d.path()));
  const double deviation = std::sqrt(5.0);
  EXPECT_NEAR(plain.split(Split::Train).features[0], (1 - 4) / deviation, 1e-6);
  EXPECT_NEAR(plain.split(Split::Test).features[2], (8 - 4) / deviation, 1e-6);
  EXPECT_EQ(plain.split(Split::Train).features[5], 0) << "a missing number is the mean";
  const RankingData query = load_ranking_data(schema(tables + "per_query: standard", d.path()));
  EXPECT_NEAR(query.split(Split::Train).features[0], -1, 1e-6);
  EXPECT_NEAR(query.split(Split::Train).features[2], 1, 1e-6);
  EXPECT_EQ(query.split(Split::Train).features[1], 0) << "constant within the query";
}

TEST(RankingData, TextsComeFromTablesByKeyOrFromTheRows) {
  const TemporaryDirectory d;
  d.write("rows.csv", "query_id,item_id,label,title\nq1,i1,1,Red hat\nq1,i2,0,Blue bag\nq2,i1,2,Red hat\n");
  d.write("queries.csv", "query_id,text\nq2,bag\nq1,hat\n");
  d.write("items.csv", "item_id,title,brand\ni2,Blue bag,\ni1,Red hat,Acme\n");
  const std::string rows = "train: {file: rows.csv}\nvalid: {file: rows.csv}\ntest: {file: rows.csv}\n";
  const RankingData a = load_ranking_data(schema(
      rows + "queries: {file: queries.csv, text: [text]}\nitems: {file: items.csv, key: item_id, text: [brand, title]}",
      d.path(), true));
  EXPECT_EQ(a.split(Split::Train).query_texts, (std::vector<std::string>{"hat", "bag"}));
  EXPECT_EQ(a.split(Split::Train).item_texts, (std::vector<std::string>{"Acme Red hat", "Blue bag", "Acme Red hat"}));
  const RankingData b = load_ranking_data(schema(rows + "query_text: [query_id]\nitem_text: [title]", d.path(), true));
  EXPECT_EQ(b.split(Split::Test).query_texts, (std::vector<std::string>{"q1", "q2"}));
  EXPECT_EQ(b.split(Split::Test).item_texts, (std::vector<std::string>{"Red hat", "Blue bag", "Red hat"}));
  d.write("queries.csv", "query_id,text\nq1,hat\n");
  EXPECT_NE(text_of<DataError>([&] {
              load_ranking_data(
                  schema(rows + "queries: {file: queries.csv, text: [text]}\nitem_text: [title]", d.path(), true));
            }).find("the query 'q2' is not in"),
            std::string::npos);
}

}  // namespace
}  // namespace winnow
