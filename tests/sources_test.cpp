// data/rows.h: every format, several files, compression, any block size and number of threads, and exact errors.
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <random>

#include "core/error.h"
#include "data/csv.h"
#include "data/detail/line_writer.h"
#include "data/detail/text_format.h"
#include "data/rows.h"
#include "tests/data_files.h"

namespace winnow {
namespace {

using Row = std::vector<std::string>;
struct Table {
  Row columns;
  std::vector<Row> rows;
  std::vector<int64_t> lines;
  std::string error;
  bool operator==(const Table&) const = default;
};

Table read(const SourceSpec& spec) {
  Table table;
  try {
    const auto reader = open_rows(spec);
    table.columns = reader->columns();
    for (RowBlock block; reader->next(block);)
      for (int64_t r = 0; r < block.rows; ++r) {
        table.rows.emplace_back();
        for (size_t c = 0; c < table.columns.size(); ++c) table.rows.back().emplace_back(block.cell(r, c));
        table.lines.push_back(block.lines[static_cast<size_t>(r)]);
      }
  } catch (const Error& e) { table.error = e.what(); }
  return table;
}

// The file's directory is left out of errors.
Table read_text(const std::string& name, const std::string& text, SourceSpec spec = {}) {
  const TemporaryDirectory directory;
  directory.write(name, text);
  spec.path = directory.path() + "/" + name;
  Table table = read(spec);
  for (size_t at; (at = table.error.find(directory.path() + "/")) != std::string::npos;)
    table.error.erase(at, directory.path().size() + 1);
  return table;
}

std::string packed(const std::string& name, const std::string& text) {
  const auto packer = detail::make_packer(name);
  std::string out;
  packer->add(text, out);
  packer->end_frame(out);
  return out;
}

// What CsvReader makes of the same text.
Table read_in_memory(const std::string& text, const CsvOptions& options) {
  Table table;
  try {
    CsvReader reader("x.csv", text, options);
    table.columns = reader.header();
    while (reader.next()) {
      table.rows.emplace_back(reader.cells().begin(), reader.cells().end());
      table.lines.push_back(reader.line());
    }
  } catch (const Error& e) { table.error = e.what(); }
  return table;
}

TEST(Sources, CsvInPiecesEqualsCsvReader) {
  std::mt19937 random(11);
  const std::string_view alphabet = "ab,,\"\n\n \r\t";
  int with_errors = 0, rows = 0;
  for (int round = 0; round < 1000; ++round) {
    std::string text = round % 5 == 0 ? "a\n" : round % 7 == 0 ? "\xEF\xBB\xBF\"a\na\",b\r\n" : "a,b\n";
    if (round % 3 != 0) {  // rows that are mostly right
      for (size_t r = random() % 12; r > 0; --r) {
        for (size_t n = random() % 40; n > 0; --n) text += static_cast<char>('a' + random() % 20);
        if (round % 5 != 0) text += random() % 3 == 0 ? ",\"x\"\"\ny\"" : ",5\" z";
        text += random() % 4 == 0 ? "\r\n" : "\n";
      }
    }
    for (size_t n = random() % (round % 2 == 0 ? 8 : 200); n > 0; --n) text += alphabet[random() % alphabet.size()];
    const CsvOptions options{.quoting = round % 4 != 0};
    Table expected = read_in_memory(text, options);
    for (const size_t bytes : {size_t{64}, size_t{100}, size_t{1} << 18}) {
      Table found = read_text("x.csv", text, {.csv = options, .threads = 1 + round % 3, .block_bytes = bytes});
      if (!expected.error.empty() && !expected.columns.empty()) {
        // rows before a broken one may be delivered or not, by the cut into blocks
        ASSERT_LE(found.rows.size(), expected.rows.size());
        found.rows = expected.rows;
        found.lines = expected.lines;
      }
      ASSERT_EQ(found.error, expected.error) << text;
      ASSERT_EQ(found.columns, expected.columns) << text;
      ASSERT_EQ(found.rows, expected.rows) << text;
      ASSERT_EQ(found.lines, expected.lines) << text;
    }
    with_errors += !expected.error.empty();
    rows += static_cast<int>(expected.rows.size());
  }
  EXPECT_GT(with_errors, 100);
  EXPECT_GT(rows, 1000);
}

TEST(Sources, AHeaderAloneInItsBlock) {
  for (const std::string end : {"\n", "\r\n"})
    EXPECT_EQ(read_text("x.csv", std::string(70, 'a') + end + std::string(70, '1'), {.block_bytes = 64}).rows,
              (std::vector<Row>{{std::string(70, '1')}}));
}

TEST(Sources, ManyRowsInOrderForAnyNumberOfThreads) {
  std::string text = "n,text\n";
  for (int i = 0; i < 100000; ++i) text += std::to_string(i) + ",t" + std::to_string(i * 7) + "\n";
  const Table one = read_text("x.csv", text, {.threads = 1, .block_bytes = 4096});
  ASSERT_EQ(one.rows.size(), 100000u);
  for (int i = 0; i < 100000; ++i) {
    ASSERT_EQ(one.rows[static_cast<size_t>(i)][0], std::to_string(i));
    ASSERT_EQ(one.lines[static_cast<size_t>(i)], i + 2);
  }
  for (const int threads : {2, 3, 8})
    EXPECT_EQ(read_text("x.csv", text, {.threads = threads, .block_bytes = 4096}), one) << threads << " threads";
}

TEST(Sources, AReaderMayBeLeftInTheMiddle) {
  const TemporaryDirectory directory;
  std::string text = "n\n";
  for (int i = 0; i < 50000; ++i) text += std::to_string(i) + "\n";
  directory.write("x.csv", text);
  for (const int threads : {1, 2, 5}) {
    const auto reader = open_rows({.path = directory.path() + "/x.csv", .threads = threads, .block_bytes = 1024});
    RowBlock block, kept;
    ASSERT_TRUE(reader->next(kept));
    ASSERT_TRUE(reader->next(block));
    ASSERT_TRUE(reader->next(block));
    EXPECT_EQ(kept.cell(0, 0), "0") << "a block is its own, whatever is read after it";
    EXPECT_GT(reader->progress(), 0);
  }
}

TEST(Sources, CompressedFilesAreTheSameRows) {
  std::string text = "n,t\n";
  for (int i = 0; i < 40000; ++i) text += std::to_string(i * i) + ",x\n";
  const Table plain = read_text("x.csv", text);
  EXPECT_EQ(read_text("x.csv.gz", packed(".gz", text)), plain);
  EXPECT_EQ(read_text("x.csv.zst", packed(".zst", text)), plain);
  for (const std::string ending : {".gz", ".zst"}) {
    const std::string whole = packed(ending, text);
    const size_t half = text.find("\n", text.size() / 2) - 1;
    EXPECT_EQ(read_text("x.csv" + ending, packed(ending, text.substr(0, half)) + packed(ending, text.substr(half))),
              plain)
        << "two members, cut within a row";
    const Table cut = read_text("x.csv" + ending, whole.substr(0, whole.size() - 5));
    EXPECT_NE(cut.error.find("the file is cut off"), std::string::npos) << cut.error;
    EXPECT_NE(read_text("x.csv" + ending, text).error.find("broken"), std::string::npos) << "not compressed at all";
    EXPECT_NE(read_text("x.csv" + ending, whole + "junk").error.find("broken"), std::string::npos)
        << "something behind it";
    std::string flipped = whole;
    flipped[whole.size() / 2] = static_cast<char>(flipped[whole.size() / 2] ^ 0x20);
    EXPECT_NE(read_text("x.csv" + ending, flipped).error, "") << "a flipped bit";
  }
}

TEST(Sources, DirectoriesAndPatternsAreReadInOrderOfTheirNames) {
  const TemporaryDirectory directory;
  directory.write("part-1.csv", "a,b\n1,2\n");
  directory.write("part-0.csv.gz", packed(".gz", "a,b\n3,4\n5,6"));
  directory.write(".hidden", "x");
  directory.write("part-2.csv", "a,b\n");
  const std::vector<Row> rows = {{"3", "4"}, {"5", "6"}, {"1", "2"}};
  EXPECT_EQ(read({.path = directory.path()}).rows, rows);
  EXPECT_EQ(read({.path = directory.path() + "/part-*.csv*"}).rows, rows);
  EXPECT_EQ(read({.path = directory.path() + "/part-[01]*"}).rows, rows);
  EXPECT_EQ(read({.path = directory.path() + "/other-*"}).error,
            directory.path() + "/other-*: no file matches the pattern");
  directory.write("part-3.csv", "a,c\n1,2\n");
  const Table differ = read({.path = directory.path() + "/part-*"});
  EXPECT_EQ(differ.error, directory.path() + "/part-3.csv:1: the columns differ from those of " + directory.path() +
                              "/part-0.csv.gz: column 2 is 'c' here and 'b' there");
  directory.write("part-3.csv", "a,b\n1\n");
  EXPECT_EQ(read({.path = directory.path() + "/part-*"}).error,
            directory.path() + "/part-3.csv:2: 1 field, header has 2");
}

TEST(Sources, ChosenColumns) {
  const Table table = read_text("x.csv", "a,b,c\n1,2,3\n4,5,6\n", {.columns = {"c", "a"}});
  EXPECT_EQ(table.columns, (Row{"c", "a"}));
  EXPECT_EQ(table.rows, (std::vector<Row>{{"3", "1"}, {"6", "4"}}));
  EXPECT_EQ(read_text("x.csv", "abc,b\n1,2\n", {.columns = {"abd"}}).error,
            "x.csv: there is no column 'abd'; did you mean 'abc'?");
  EXPECT_EQ(read_text("x.csv", "a\n1\n", {.columns = {"a", "a"}}).error, "x.csv: column 'a' is asked for twice");
}

TEST(Sources, FormatsByTheEndingOfTheName) {
  EXPECT_EQ(format_of("x.tsv.gz"), "tsv");
  EXPECT_EQ(format_of("logs/part-*.jsonl.zst"), "jsonl");
  EXPECT_EQ(format_of("ml.inter"), "recbole");
  EXPECT_EQ(format_of("data"), "csv");
  EXPECT_EQ(read_text("x.tsv", "a\tb\n1\t2\n").rows, (std::vector<Row>{{"1", "2"}}));
  EXPECT_EQ(read_text("x.inter", "a:token\tb:float\n\"1\t2\n").rows, (std::vector<Row>{{"\"1", "2"}}));
  EXPECT_EQ(read_text("x", "", {.format = "cvs"}).error.substr(0, 47),
            "there is no format 'cvs'; did you mean 'csv'? (");
}

TEST(Sources, Jsonl) {
  const Table table = read_text("x.jsonl",
                                "{\"id\": 7, \"t\": \"a\\\"b\\u00e9\\ud83d\\ude00\\n\", \"ok\": true}\n"
                                " { \"tags\" : [ \"x\" , 2, null, 3.5e1 ] , \"ok\":false, \"t\":null}\r\n"
                                "{\"id\":-0.50,\"tags\":[]}\n{}\n");
  EXPECT_EQ(table.error, "");
  EXPECT_EQ(table.columns, (Row{"id", "t", "ok", "tags"}));
  EXPECT_EQ(table.rows, (std::vector<Row>{{"7", "a\"b\u00e9\U0001F600\n", "1", ""},
                                          {"", "", "0", "x 2 3.5e1"},
                                          {"-0.50", "", "", ""},
                                          {"", "", "", ""}}));
  EXPECT_EQ(table.lines, (std::vector<int64_t>{1, 2, 3, 4}));
  EXPECT_EQ(read_text("x.jsonl", "{\"a\":[\"x y\",\"z\"]}\n", {.list_separator = "|"}).rows[0][0], "x y|z");
  EXPECT_EQ(read_text("x.jsonl", "{\"a\":1,\"b\":2}\n{\"c\":3}\n", {.columns = {"b"}}).rows,
            (std::vector<Row>{{"2"}, {""}}))
      << "keys that are not asked for are left out, nested or new ones must still be JSON";
}

TEST(Sources, JsonlErrorsNameLineAndColumn) {
  const auto error = [](const std::string& text) { return read_text("x.jsonl", "{\"a\":1}\n" + text + "\n").error; };
  EXPECT_EQ(error("{\"a\":{\"b\":1}}"),
            "x.jsonl:2:6: a nested value; a cell is a scalar or an array of scalars: flatten it, for example with jq");
  EXPECT_EQ(error("{\"a\":[[1]]}").substr(0, 29), "x.jsonl:2:7: a nested value; ");
  EXPECT_EQ(error("[1]"), "x.jsonl:2:1: an object {...} is expected, found '[1]'");
  EXPECT_EQ(error("{\"a\":01}"), "x.jsonl:2:6: a number with a leading zero; write it as a string");
  EXPECT_EQ(error("{\"a\":1,}"), "x.jsonl:2:8: a key in quotes is expected, found '}'");
  EXPECT_EQ(error("{\"a\":\"x}"), "x.jsonl:2:6: a string that is never closed");
  EXPECT_EQ(error("{\"a\":nul}"), "x.jsonl:2:6: a value is expected, found 'nul}'");
  EXPECT_EQ(error("{\"a\":\"\\ud800\"}"), "x.jsonl:2:7: half of a surrogate pair");
  EXPECT_EQ(error("{\"a\":\"\\u0000\"}"), "x.jsonl:2:7: a NUL character");
  EXPECT_EQ(error("{\"a\":[\"x y\"]}"),
            "x.jsonl:2:7: 'x y' holds the separator of lists, ' '; choose another list_separator");
  EXPECT_EQ(error("{\"a\":1,\"a\":2}"), "x.jsonl:2:8: the key 'a' is given twice");
  EXPECT_EQ(error("{\"a\":1} x"), "x.jsonl:2:9: the end of the line is expected, found 'x'");
  EXPECT_EQ(error("\n{}"), "x.jsonl:2:1: a blank line; an object is needed");
  std::string later;
  for (int i = 0; i < 100; ++i) later += "{\"aa\":1}\n";
  EXPECT_EQ(read_text("x.jsonl", later + "{\"ab\":1}\n", {.block_bytes = 90}).error,
            "x.jsonl:101:2: the key 'ab' is not on lines 1 to 10, which make the columns; did you mean 'aa'?; name all "
            "of them "
            "in `columns`");
}

TEST(Sources, Libsvm) {
  const std::string text = "+1 qid:3 2:0.5 10:+7 # best\n-1 qid:3 1:1e-3\n0\n";
  const Table table = read_text("x.libsvm", text);
  EXPECT_EQ(table.error, "");
  EXPECT_EQ(table.columns, (Row{"label", "qid", "1", "2", "10"}));
  EXPECT_EQ(table.rows,
            (std::vector<Row>{{"1", "3", "", "0.5", "7"}, {"-1", "3", "1e-3", "", ""}, {"0", "", "", "", ""}}));
  EXPECT_EQ(read_text("x.libsvm", text, {.columns = {"ids", "values", "label", "10", "99"}}).rows,
            (std::vector<Row>{{"2 10", "0.5 7", "1", "7", ""}, {"1", "1e-3", "-1", "", ""}, {"", "", "0", "", ""}}));
  const auto error = [](const std::string& line) { return read_text("x.libsvm", "1 2:1\n" + line + "\n").error; };
  EXPECT_EQ(error("0 2:x"), "x.libsvm:2:5: the value 'x' is not a number");
  EXPECT_EQ(error("0 02:1"), "x.libsvm:2:3: index '02' is not a whole number below 2^32 - 1");
  EXPECT_EQ(error("0 2:1 2:3"), "x.libsvm:2:7: index 2 is given twice");
  EXPECT_EQ(error("0 2"), "x.libsvm:2:3: '2' is not index:value");
  EXPECT_EQ(error("x 2:1"), "x.libsvm:2:1: the label 'x' is not a number");
  EXPECT_EQ(read_text("x.libsvm", "1 2:1\n", {.columns = {"ids", "x"}}).error,
            "columns: 'x' is not a column of libsvm (those are label, qid, ids, values, an index)");
}

TEST(Sources, Libffm) {
  const Table table = read_text("x.ffm", "1 0:5:1 2:7:0.5 0:6:1\n0 2:8:1\n");
  EXPECT_EQ(table.columns, (Row{"label", "0", "0.values", "2", "2.values"}));
  EXPECT_EQ(table.rows, (std::vector<Row>{{"1", "5 6", "1 1", "7", "0.5"}, {"0", "", "", "8", "1"}}));
  EXPECT_EQ(read_text("x.ffm", "1 0:5\n").error, "x.ffm:1:3: '0:5' is not field:index:value");
}

TEST(Sources, SparseTextsMakeSmallBlocks) {
  std::string text;
  for (int i = 0; i < 2000; ++i) text += "1 " + std::to_string(i) + ":1\n";
  const TemporaryDirectory directory;
  directory.write("x.libsvm", text);
  const size_t bytes = size_t{64} << 10;
  const auto reader = open_rows({.path = directory.path() + "/x.libsvm", .block_bytes = bytes});
  int64_t rows = 0;
  for (RowBlock block; reader->next(block); rows += block.rows) {
    EXPECT_LE(block.cells.size(), bytes / 4);
    ASSERT_EQ(block.lines[0], rows + 1);
    ASSERT_EQ(block.cell(0, static_cast<size_t>(rows) + 1), "1") << "the column of index " << rows;
  }
  EXPECT_EQ(rows, 2000) << "2000 rows of 2001 columns, never 64 MB of cells at a time";
}

TEST(Sources, Criteo) {
  std::string with = "1", without;
  for (int i = 0; i < 39; ++i) {
    with += "\t" + std::to_string(i);
    without += (i > 0 ? "\t\"" : "\"") + std::to_string(i);
  }
  const Table table = read_text("x.criteo", with + "\n" + with + "\n");
  EXPECT_EQ(table.columns.size(), 40u);
  EXPECT_EQ(table.columns[0], "label");
  EXPECT_EQ(table.columns[39], "C26");
  EXPECT_EQ(table.rows.size(), 2u);
  EXPECT_EQ(read_text("x.criteo", without + "\n").rows[0][0], "\"0") << "a test set has no label; quotes are plain";
  EXPECT_EQ(read_text("x.criteo", "1\t2\n").error.substr(0, 42), "x.criteo:1: 2 fields; a Criteo file has 40");
  EXPECT_EQ(read_text("x.criteo", with + "\n1\n").error, "x.criteo:2: 1 field, header has 40");
}

TEST(Sources, Sqlite) {
  const TemporaryDirectory directory;
  const std::string path = directory.path() + "/x.db";
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &database), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(database,
                         "CREATE TABLE t (id INTEGER, x REAL, s TEXT, b BLOB);"
                         "INSERT INTO t VALUES (2, 0.1, 'it''s', NULL), (1, 1e300, NULL, NULL), (3, 2.0, '', NULL)",
                         nullptr, nullptr, nullptr),
            SQLITE_OK);
  EXPECT_EQ(read({.path = path, .table = "t"}).rows,
            (std::vector<Row>{{"2", "0.1", "it's", ""}, {"1", "1e+300", "", ""}, {"3", "2", "", ""}}));
  EXPECT_EQ(read({.path = path, .query = "SELECT s, id FROM t WHERE id > 1; ", .key = "id"}).rows,
            (std::vector<Row>{{"it's", "2"}, {"", "3"}}));
  EXPECT_EQ(read({.path = path, .table = "t", .columns = {"id"}, .key = "id", .after = "1"}).rows,
            (std::vector<Row>{{"2"}, {"3"}}));
  EXPECT_EQ(read({.path = path, .table = "u"}).error.substr(0, path.size() + 20), path + ": no such table: u (");
  EXPECT_NE(read({.path = path}).error.find("a database takes `query` or `table`"), std::string::npos);
  EXPECT_EQ(read({.path = directory.path() + "/none.db", .table = "t"}).error,
            directory.path() + "/none.db: there is no such file");
  sqlite3_exec(database, "UPDATE t SET b = x'00ff' WHERE id = 3", nullptr, nullptr, nullptr);
  EXPECT_EQ(read({.path = path, .table = "t"}).error,
            path + ":3: column 'b': a BLOB; select it as text, for example hex(b)");
  sqlite3_close(database);
}

TEST(Sources, AConnectionStringNeverShowsItsPassword) {
  const std::string url = "postgresql://reader:hunter2@127.0.0.1:1/shop?connect_timeout=2";
  const Table table = read({.connection = url, .table = "t"});
  EXPECT_EQ(table.error.find("hunter2"), std::string::npos) << table.error;
  EXPECT_EQ(table.error.substr(0, 67), "postgresql user=reader dbname=shop host=127.0.0.1 port=1: no connec")
      << table.error;
  const Table broken = read({.format = "postgresql", .connection = "host=h password='hunter2", .table = "t"});
  EXPECT_EQ(broken.error.find("hunter2"), std::string::npos) << broken.error;
  EXPECT_NE(broken.error.find("cannot be read"), std::string::npos) << broken.error;
}

TEST(Sources, ARowOver64MiBIsRefused) {
  const Table table = read_text("x.csv", "a\n\"" + std::string(size_t{70} << 20, 'x'));
  EXPECT_EQ(table.error, "x.csv:2: a row of more than 64 MiB; is a quote never closed?");
}

}  // namespace
}  // namespace winnow
