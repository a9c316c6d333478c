// data/csv.h: what is read, and the exact text of every refusal.
#include "data/csv.h"

#include <gtest/gtest.h>

#include <random>

#include "core/error.h"

namespace winnow {
namespace {

using Rows = std::vector<std::vector<std::string>>;

Rows read(std::string_view text, const CsvOptions& options = {}) {
  CsvReader reader("t.csv", text, options);
  Rows rows{reader.header()};
  while (reader.next()) rows.emplace_back(reader.cells().begin(), reader.cells().end());
  return rows;
}

std::string error(std::string_view text, const CsvOptions& options = {}) {
  try {
    read(text, options);
  } catch (const DataError& e) { return e.what(); }
  return "no error";
}

TEST(Csv, RowsAndHeader) {
  EXPECT_EQ(read("a,b\n1,2\n3,\n"), (Rows{{"a", "b"}, {"1", "2"}, {"3", ""}}));
  EXPECT_EQ(read("a,b\n1,2"), (Rows{{"a", "b"}, {"1", "2"}})) << "no line end at the end";
  EXPECT_EQ(read("a,b\r\n1,2\r\n\r\n"), (Rows{{"a", "b"}, {"1", "2"}})) << "CRLF, a blank last line";
  EXPECT_EQ(read("\xEF\xBB\xBF"
                 "a,b\n1,2\n"),
            (Rows{{"a", "b"}, {"1", "2"}}))
      << "byte order mark";
  EXPECT_EQ(read("a\n\nx\n"), (Rows{{"a"}, {""}, {"x"}})) << "one column: a blank line is an empty cell";
  EXPECT_EQ(read("a,b"), (Rows{{"a", "b"}})) << "a header alone";
}

TEST(Csv, Quotes) {
  EXPECT_EQ(read("a,b\n\"x,y\",\"1\n2\"\n"), (Rows{{"a", "b"}, {"x,y", "1\n2"}}));
  EXPECT_EQ(read("a,b\r\n\"say \"\"hi\"\"\",\"\"\r\n"), (Rows{{"a", "b"}, {"say \"hi\"", ""}}));
  EXPECT_EQ(read("a,b\n\"\"\"\",\"\"\"x\"\"\""), (Rows{{"a", "b"}, {"\"", "\"x\""}}));
  EXPECT_EQ(read("a,b\n5\" pipe,x\"\"y\n"), (Rows{{"a", "b"}, {"5\" pipe", "x\"\"y"}})) << "inside a cell: plain";
}

TEST(Csv, UnquotedCellsAreViewsOfTheText) {
  const std::string text = "a,b\nxx,\"yy\"\n";
  CsvReader reader("t", text);
  ASSERT_TRUE(reader.next());
  EXPECT_EQ(reader.cells()[0].data(), text.data() + 4);
  EXPECT_EQ(reader.cells()[1].data(), text.data() + 8);
}

TEST(Csv, RecboleAtomicFiles) {
  const CsvOptions recbole{.separator = '\t', .quoting = false, .strip_types = true};
  EXPECT_EQ(read("user_id:token\ttitle:token_seq\n1\t\"Hi\" there, you\n", recbole),
            (Rows{{"user_id", "title"}, {"1", "\"Hi\" there, you"}}));
  EXPECT_EQ(read("a:token\n1\n")[0][0], "a:token") << "kept unless asked";
}

TEST(Csv, LinesCountQuotedLineEnds) {
  CsvReader reader("t", "a,b\n\"1\n2\n\",x\n3,4\n");
  EXPECT_TRUE(reader.next());
  EXPECT_EQ(reader.line(), 2);
  EXPECT_TRUE(reader.next());
  EXPECT_EQ(reader.line(), 5);
  EXPECT_FALSE(reader.next());
  EXPECT_FALSE(reader.next());
  EXPECT_EQ(reader.rows(), 2);
}

TEST(Csv, Refusals) {
  EXPECT_EQ(error(""), "t.csv:1: the file is empty; a header row is needed");
  EXPECT_EQ(error("\n\n"), "t.csv:1: the file is empty; a header row is needed");
  EXPECT_EQ(error("\xEF\xBB\xBF"), "t.csv:1: the file is empty; a header row is needed");
  EXPECT_EQ(error("a,,c\n"), "t.csv:1: column 2 of the header has no name");
  EXPECT_EQ(error("a,b,a\n"), "t.csv:1: two columns are named 'a'");
  EXPECT_EQ(error("a,b\n1,2\n1\n"), "t.csv:3: 1 field, header has 2");
  EXPECT_EQ(error("a,b\n1,2,3,4\n"), "t.csv:2: 4 fields, header has 2");
  EXPECT_EQ(error("a,b\n\n1,2\n"), "t.csv:2: 1 field, header has 2 (a blank line)");
  EXPECT_EQ(error("a,b\n1,2\n\"x\ny\n,3\n4,5"), "t.csv:3: field 1: a quote that is never closed");
  EXPECT_EQ(error("a,b\n1,\"x\ny\"z\n"), "t.csv:3: field 2: text after the closing quote: 'z'");
  EXPECT_EQ(error(std::string_view("a,b\n1,\0\n", 8)), "t.csv:2: a NUL byte in field 2");
  EXPECT_EQ(error(std::string_view("a,b\n\"\n\0\",1\n", 12)), "t.csv:3: a NUL byte in field 1");
  EXPECT_EQ(error(std::string(20000, ',')), "t.csv:1: 20001 columns; at most 16384 are supported");
  EXPECT_THROW(read("a\"b\n", {.separator = '"'}), ConfigError);
}

TEST(Csv, UnknownColumnNamesTheNearest) {
  CsvReader reader("t.csv", "user_id,item_id\n");
  EXPECT_EQ(reader.column("item_id"), 1u);
  try {
    reader.column("item_idd");
    FAIL() << "no error";
  } catch (const DataError& e) {
    EXPECT_STREQ(e.what(),
                 "t.csv:1: there is no column 'item_idd'; did you mean 'item_id'? (columns: 'user_id', 'item_id')");
  }
}

// A writer and a byte-by-byte reader of our own agree with the reader on random texts around the 64-byte blocks.
TEST(Csv, RandomTextsReadBack) {
  std::mt19937 random(7);
  const std::string_view alphabet = "ab,\"\n \r\t";
  for (int round = 0; round < 2000; ++round) {
    const size_t columns = 1 + random() % 5, rows = 1 + random() % 6;
    Rows expected(1);
    for (size_t c = 0; c < columns; ++c) expected[0].push_back("c" + std::to_string(c));
    std::string text;
    for (size_t c = 0; c < columns; ++c) text += (c > 0 ? "," : "") + expected[0][c];
    for (size_t r = 0; r < rows; ++r) {
      text += random() % 2 == 0 ? "\n" : "\r\n";
      expected.emplace_back();
      for (size_t c = 0; c < columns; ++c) {
        std::string cell;
        for (size_t n = random() % (round % 2 == 0 ? 6 : 70); n > 0; --n) cell += alphabet[random() % alphabet.size()];
        expected.back().push_back(cell);
        std::string escaped;
        for (const char ch : cell) escaped += ch == '"' ? std::string("\"\"") : std::string(1, ch);
        const bool plain = cell.find_first_of("\",\n\r") == std::string::npos && (columns > 1 || !cell.empty());
        text += (c > 0 ? "," : "") + (plain && random() % 2 == 0 ? cell : '"' + escaped + '"');
      }
    }
    ASSERT_EQ(read(text), expected) << text;
  }
}

}  // namespace
}  // namespace winnow
