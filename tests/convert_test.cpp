// data/row_writer.h: one table through every format and back, and conversions that were interrupted.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "core/error.h"
#include "core/file.h"
#include "data/row_writer.h"
#include "tests/data_files.h"

namespace winnow {
namespace {

using Row = std::vector<std::string>;

std::vector<Row> read(const SourceSpec& spec) {
  const auto reader = open_rows(spec);
  std::vector<Row> rows{reader->columns()};
  for (RowBlock block; reader->next(block);)
    for (int64_t r = 0; r < block.rows; ++r) {
      rows.emplace_back();
      for (int64_t c = 0; c < block.width; ++c) rows.back().emplace_back(block.cell(r, static_cast<size_t>(c)));
    }
  return rows;
}

std::string bytes_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

std::string convert_error(const SourceSpec& from, const SinkSpec& to, const ConvertOptions& options = {}) {
  try {
    convert_rows(from, to, options);
  } catch (const Error& e) { return e.what(); }
  return "no error";
}

TEST(Convert, EveryFormatGivesTheSameTable) {
  const TemporaryDirectory directory;
  const std::string source = directory.path() + "/source.csv";
  std::string text = "label,1,2,5\n";
  for (int i = 0; i < 3000; ++i)
    text += std::to_string(i % 2) + "," + (i % 3 == 1 ? "" : std::to_string(i)) + "," + std::to_string(i * 31) + "," +
            (i % 4 == 3 ? "" : std::to_string(i % 7)) + "\n";
  directory.write("source.csv", text);
  const std::vector<Row> expected = read({.path = source});
  ASSERT_EQ(expected.size(), 3001u);
  for (const std::string name : {"x.csv", "x.tsv", "x.jsonl", "x.libsvm", "x.ffm", "x.inter", "x.db", "x.csv.gz",
                                 "x.tsv.zst", "x.jsonl.gz", "x.svm.zst", "x.ffm.gz", "x.inter.zst"}) {
    const std::string path = directory.path() + "/" + name;
    const ConvertReport report = convert_rows({.path = source}, {.path = path});
    EXPECT_EQ(report.rows, 3000) << name;
    SourceSpec back{.path = path, .columns = {"label", "1", "2", "5"}, .block_bytes = 4096};
    if (name == "x.db") back.table = "rows";
    EXPECT_EQ(read(back), expected) << name;
    EXPECT_FALSE(file_exists(path + ".winnow-tmp")) << name;
  }
}

TEST(Convert, CriteoGivesTheSameTable) {
  const TemporaryDirectory directory;
  std::string line = "1";
  for (int i = 0; i < 39; ++i) line += i % 5 == 4 ? "\t" : "\t" + std::to_string(i);
  directory.write("x.criteo", line + "\n" + line + "\n");
  const std::string path = directory.path() + "/x.criteo";
  convert_rows({.path = path}, {.path = directory.path() + "/y.csv"});
  convert_rows({.path = directory.path() + "/y.csv"}, {.path = directory.path() + "/z.criteo.gz"});
  EXPECT_EQ(read({.path = directory.path() + "/z.criteo.gz"}), read({.path = path}));
  EXPECT_NE(convert_error({.path = path, .columns = {"label", "I1"}}, {.path = directory.path() + "/w.criteo"})
                .find("exactly the columns"),
            std::string::npos);
}

TEST(Convert, DifficultTextsSurviveTheFormatsThatHoldThem) {
  const TemporaryDirectory directory;
  directory.write("x.csv", "a,b\n\"x,\"\"y\"\"\",\"1\n2\"\n007, 5 \n\xC3\xA9\t,\\n\n,1e5\n-0.10,\"\r\"\n1E5,0x1\n");
  const SourceSpec source{.path = directory.path() + "/x.csv"};
  const std::vector<Row> expected = read(source);
  ASSERT_EQ(expected.size(), 7u);
  for (const std::string name : {"y.csv", "y.tsv", "y.jsonl", "y.db"}) {
    const std::string path = directory.path() + "/" + name;
    convert_rows(source, {.path = path});
    EXPECT_EQ(read({.path = path, .table = name == "y.db" ? "rows" : ""}), expected) << name;
  }
  const std::string refused = directory.path() + "/y.inter";
  EXPECT_EQ(convert_error(source, {.path = refused}),
            source.path + ":2: column 'b': '1\\x0a2' holds a tab or line end, which recbole cannot write");
  EXPECT_FALSE(file_exists(refused)) << "nothing half-written";
  EXPECT_EQ(convert_error(source, {.path = directory.path() + "/y.libsvm"}), "libsvm needs a column named label");
}

TEST(Convert, OneColumnWithMissingCellsAndNoRows) {
  const TemporaryDirectory directory;
  directory.write("x.csv", "a\n\"\"\n1\n\"\"\n\"\"\n");
  const SourceSpec source{.path = directory.path() + "/x.csv"};
  ASSERT_EQ(read(source).size(), 5u);
  convert_rows(source, {.path = directory.path() + "/y.csv.gz"});
  EXPECT_EQ(read({.path = directory.path() + "/y.csv.gz"}), read(source));
  directory.write("x.csv", "a,b\n");
  convert_rows(source, {.path = directory.path() + "/y.tsv"});
  EXPECT_EQ(bytes_of(directory.path() + "/y.tsv"), "a\tb\n");
}

TEST(Convert, NamesBecomeIndices) {
  const TemporaryDirectory directory;
  directory.write("x.csv", "price,label,age\n2.5,1,30\n,0,31\n");
  const std::string path = directory.path() + "/y.libsvm";
  const ConvertReport report = convert_rows({.path = directory.path() + "/x.csv"}, {.path = path});
  EXPECT_EQ(bytes_of(path), "1 1:2.5 2:30\n0 2:31\n");
  EXPECT_EQ(report.notes, (std::vector<std::string>{"column price is index 1", "column age is index 2"}));
}

// A database that goes away is one whose reading throws in the middle: here the progress callback throws.
TEST(Convert, AnInterruptedConversionEndsWithTheSameBytes) {
  const TemporaryDirectory directory;
  std::string text = "id,t\n";
  for (int i = 0; i < 5000; ++i) text += std::to_string(i * 3) + ",text " + std::to_string(i) + "\n";
  directory.write("x.csv", text);
  const std::string database = directory.path() + "/x.db";
  convert_rows({.path = directory.path() + "/x.csv"}, {.path = database});
  const SourceSpec source{.path = database, .table = "rows", .key = "id", .block_bytes = 2048};
  for (const std::string ending : {".csv", ".csv.gz", ".jsonl.zst"}) {
    const SinkSpec whole{.path = directory.path() + "/whole" + ending}, cut{.path = directory.path() + "/cut" + ending};
    convert_rows(source, whole, {.checkpoint_rows = 700});
    for (const int64_t stop : {1, 800, 3000}) {
      const auto throw_at = [&](int64_t rows, double) {
        if (rows >= stop) throw IoError("gone");
      };
      const std::string error =
          convert_error(source, cut, {.resume = stop > 1, .checkpoint_rows = 700, .on_progress = throw_at});
      EXPECT_NE(error.find("gone\n"), std::string::npos) << error;
      EXPECT_NE(error.find("--resume goes on after them"), std::string::npos) << error;
      EXPECT_FALSE(file_exists(cut.path));
    }
    EXPECT_NE(convert_error(source, cut, {.checkpoint_rows = 700}).find("--resume goes on with it"), std::string::npos);
    SourceSpec other = source;
    other.columns = {"id"};
    EXPECT_NE(convert_error(other, cut, {.resume = true}).find("belongs to another source"), std::string::npos);
    const ConvertReport report = convert_rows(source, cut, {.resume = true, .checkpoint_rows = 700});
    EXPECT_EQ(report.rows, 5000);
    EXPECT_EQ(report.resumed_after, 2800) << "the last multiple of 700 before 3000";
    EXPECT_EQ(bytes_of(cut.path), bytes_of(whole.path)) << ending;
    EXPECT_FALSE(file_exists(cut.path + ".part") || file_exists(cut.path + ".state"));
  }
}

TEST(Convert, AKeyMustBeUnique) {
  const TemporaryDirectory directory;
  directory.write("x.csv", "id,t\n1,a\n2,b\n2,c\n");
  const std::string database = directory.path() + "/x.db";
  convert_rows({.path = directory.path() + "/x.csv"}, {.path = database});
  EXPECT_EQ(convert_error({.path = database, .table = "rows", .key = "id"}, {.path = directory.path() + "/y.csv"}),
            database + ":3: column 'id': '2' occurs twice; a key must be unique");
  EXPECT_NE(convert_error({.path = database, .table = "rows"}, {.path = directory.path() + "/z.csv"}, {.resume = true})
                .find("--resume needs --key"),
            std::string::npos);
}

}  // namespace
}  // namespace winnow
