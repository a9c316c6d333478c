// Tables of texts: what a row's text is, which split it goes to, what is refused and where.
#include "data/text_rows.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "core/config.h"
#include "tests/data_files.h"
#include "tests/error_text.h"

namespace winnow {
namespace {

class TextRowsTest : public ::testing::Test {
 protected:
  TextRowsSpec spec(const std::string& yaml, std::vector<std::string> columns = {"label"}) const {
    Config config = Config::parse(yaml + "\npath: '" + directory_.path() + "'\n", "data.yaml");
    TextRowsSpec s = read_text_rows(config.root(), true);
    config.finish();
    s.columns = std::move(columns);
    return s;
  }
  TextTable read(const std::string& yaml) const { return read_text_table(spec(yaml)); }
  std::string lines(int n) const {
    std::string text = "id,title,note,label,time\n";
    for (int i = 0; i < n; ++i)
      text += fmt::format("{},title {},{},{},{}\n", i / 2, i, i % 3 == 0 ? "" : "note", i % 4 == 0 ? "a" : "b",
                          1000 + (i * 7) % n);
    return text;
  }
  TemporaryDirectory directory_;
};

TEST_F(TextRowsTest, ColumnsAreJoinedAndEmptyOnesLeftOut) {
  directory_.write("t.csv", "title,note,label\nred bag,large,a\n,small,a\n\"blue, green\",,b\n");
  const TextTable t = read("train: {file: t.csv}\ntext: [title, note]\nseparator: ' | '\nsplit: {valid: 0, test: 0}");
  EXPECT_EQ(t.first, (std::vector<std::string>{"red bag | large", "small", "blue, green"}));
  EXPECT_EQ(t.cells[0], (std::vector<std::string>{"a", "a", "b"}));
  EXPECT_TRUE(t.second.empty());
}

TEST_F(TextRowsTest, EveryRowIsInOneSplitAndFractionsHold) {
  directory_.write("t.csv", lines(200));
  for (const char* method : {"method: random", "method: stratified, by: label", "method: time, time: time"}) {
    const TextTable t =
        read(fmt::format("train: {{file: t.csv}}\ntext: [title]\nsplit: {{{}, valid: 0.1, test: 0.2}}", method));
    EXPECT_EQ(t.rows_of(Split::Valid).size(), 20u) << method;
    EXPECT_EQ(t.rows_of(Split::Test).size(), 40u) << method;
    std::vector<int32_t> all;
    for (const auto& rows : t.split) all.insert(all.end(), rows.begin(), rows.end());
    std::ranges::sort(all);
    for (int32_t r = 0; r < 200; ++r) ASSERT_EQ(all[static_cast<size_t>(r)], r) << method;
  }
}

TEST_F(TextRowsTest, StrataKeepTheirShares) {
  directory_.write("t.csv", lines(200));
  const TextTable t =
      read("train: {file: t.csv}\ntext: [title]\nsplit: {method: stratified, by: label, valid: 0.1, test: 0.2}");
  EXPECT_EQ(std::ranges::count_if(t.rows_of(Split::Test),
                                  [&](int32_t r) { return t.cells[0][static_cast<size_t>(r)] == "a"; }),
            10);
}

TEST_F(TextRowsTest, ByTimeTheTestSplitIsTheLatest) {
  directory_.write("t.csv", lines(100));
  TextRowsSpec s =
      spec("train: {file: t.csv}\ntext: [title]\nsplit: {method: time, time: time, valid: 0.1, test: 0.2}", {"time"});
  const TextTable t = read_text_table(s);
  const auto range = [&](Split split) {
    std::vector<int> times;
    for (const int32_t r : t.rows_of(split)) times.push_back(std::stoi(t.cells[0][static_cast<size_t>(r)]));
    return std::ranges::minmax(times);
  };
  EXPECT_LT(range(Split::Train).max, range(Split::Valid).min);
  EXPECT_LT(range(Split::Valid).max, range(Split::Test).min);
}

TEST_F(TextRowsTest, ByHashRowsWithEqualCellsStayTogetherWhateverElseTheFileHolds) {
  directory_.write("t.csv", lines(400));
  directory_.write("half.csv", lines(200));
  const char* yaml = "train: {{file: {}}}\ntext: [title]\nsplit: {{method: hash, by: [id], valid: 0.2, test: 0.2}}";
  const auto split_of_ids = [&](const std::string& file) {
    const TextTable t = read_text_table(spec(fmt::format(fmt::runtime(yaml), file), {"id"}));
    std::map<std::string, std::set<int>> splits;
    for (int s = 0; s < 3; ++s)
      for (const int32_t r : t.split[static_cast<size_t>(s)]) splits[t.cells[0][static_cast<size_t>(r)]].insert(s);
    return splits;
  };
  const auto whole = split_of_ids("t.csv"), half = split_of_ids("half.csv");
  for (const auto& [id, splits] : whole) EXPECT_EQ(splits.size(), 1u) << id;
  for (const auto& [id, splits] : half) EXPECT_EQ(splits, whole.at(id)) << id;
}

TEST_F(TextRowsTest, FilesOfTheirOwnAreTheSplits) {
  directory_.write("a.csv", "text,label\nx,a\ny,b\n");
  directory_.write("b.jsonl", "{\"label\": \"a\", \"text\": \"z\"}\n");
  const TextTable t = read("train: {file: a.csv}\ntest: {file: b.jsonl}\ntext: [text]\nsplit: {valid: 0}");
  EXPECT_EQ(t.rows_of(Split::Train), (std::vector<int32_t>{0, 1}));
  EXPECT_TRUE(t.rows_of(Split::Valid).empty());
  EXPECT_EQ(t.rows_of(Split::Test), (std::vector<int32_t>{2}));
  EXPECT_EQ(t.first[2], "z");
}

TEST_F(TextRowsTest, CleaningLeavesRowsOutAndIsCounted) {
  directory_.write("t.csv", "text,label\nx,a\nx,a\ny,\nz,b\n");
  const TextTable t = read(
      "train: {file: t.csv}\ntext: [text]\nsplit: {valid: 0, test: 0}\n"
      "clean: [{step: duplicates, columns: [text]}, {step: missing, columns: [label]}]");
  EXPECT_EQ(t.first, (std::vector<std::string>{"x", "z"}));
  EXPECT_EQ(t.clean.rows_read, 4);
  EXPECT_EQ(t.clean.steps.at(0).dropped, 1);
  EXPECT_EQ(t.clean.steps.at(1).dropped, 1);
}

TEST_F(TextRowsTest, ErrorsNameFileLineAndColumn) {
  directory_.write("t.csv", "text,label,time\nx,a,1\ny,b,soon\n");
  directory_.write("bad.csv", "text,label\nx,a\n\xff\xfe,b\n");
  const std::string time = text_of<DataError>([&] {
    (void)read("train: {file: t.csv}\ntext: [text]\nsplit: {method: time, time: time, valid: 0, test: 0.5}");
  });
  EXPECT_NE(time.find("t.csv:3: column 'time': 'soon'"), std::string::npos) << time;
  const std::string utf8 =
      text_of<DataError>([&] { (void)read("train: {file: bad.csv}\ntext: [text]\nsplit: {valid: 0, test: 0}"); });
  EXPECT_NE(utf8.find("bad.csv:3: column 'text'"), std::string::npos) << utf8;
  const std::string column =
      text_of<DataError>([&] { (void)read("train: {file: t.csv}\ntext: [txt]\nsplit: {valid: 0, test: 0}"); });
  EXPECT_NE(column.find("did you mean 'text'"), std::string::npos) << column;
  const std::string empty =
      text_of<DataError>([&] { (void)read("train: {file: t.csv}\ntext: [text]\nsplit: {valid: 0.1, test: 0.1}"); });
  EXPECT_NE(empty.find("split has no row"), std::string::npos) << empty;
}

TEST_F(TextRowsTest, KeysThatMeanNothingAreUnknown) {
  directory_.write("t.csv", "text,label\nx,a\ny,b\n");
  for (const char* yaml : {"train: {file: t.csv}\ntest: {file: t.csv}\ntext: [text]\nsplit: {test: 0.1}",
                           "train: {file: t.csv}\ntext: [text]\nsplit: {method: time, time: time, seed: 3}",
                           "train: {file: t.csv}\ntext: [text]\nseparator: ','"})
    EXPECT_NE(text_of<ConfigError>([&] { (void)spec(yaml); }).find("unknown key"), std::string::npos) << yaml;
}

}  // namespace
}  // namespace winnow
