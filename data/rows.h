// Rows of cells from any source, a block at a time: the one way in for everything that reads tables.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/csv.h"

namespace winnow {

// Where rows come from: files, or a query of a database.
//   csv, tsv       text with a header row, RFC 4180.
//   recbole        RecBole atomic files: unquoted tab-separated, column names end in ":token", ":float", ...
//   criteo         unquoted tab-separated without a header: label, I1 .. I13, C1 .. C26; 39 fields: without label.
//   jsonl          one JSON object a line. Columns: the keys of the first block, in order of first appearance.
//                  An absent key and null are missing; true and false are 1 and 0; an array of scalars is one cell, its
//                  elements joined by list_separator.
//   libsvm         "label [qid:q] index:value ... # comment". Columns: label, qid when the first row has one, then one
//                  a feature index of the first block, ascending; and, when asked for by name, "ids" and "values": all
//                  indices and all values of a row joined by spaces, for a multi feature.
//   libffm         "label field:index:value ...". Columns: label, then for each field of the first block, ascending,
//                  "3" and "3.values": the row's indices in field 3 and their values, joined by spaces.
//   lines          plain text: a line is the one cell of a row, its column is called text. Never told by an ending.
//   sqlite         path and a query or a table.
//   postgresql     connection and a query or a table.
//   parquet        where Winnow was built with Arrow.
// Text formats may be compressed: .gz, .zst by the ending of the name.
struct SourceSpec {
  std::string path = {};  // a file; a directory: all its files in sorted order; a pattern such as "logs/part-*.csv.gz"
  std::string format = {};                // "": by the ending of the name, csv when it tells nothing
  std::optional<CsvOptions> csv = {};     // separated formats; none: format_options() of the format
  std::string list_separator = " ";       // jsonl, parquet: one character
  std::string connection = {};            // postgresql: a libpq connection string or URI
  std::string query = {}, table = {};     // sqlite, postgresql: one of the two
  std::vector<std::string> columns = {};  // these and no others, in this order; empty: all
  // Databases: rows in ascending order of this unique column, those after `after` only.
  std::string key = {};
  std::optional<std::string> after = {};
  int threads = 2;                         // that read and parse; 1: the caller's own
  size_t block_bytes = size_t{256} << 10;  // of text a block, at least one row

  bool given() const { return !path.empty() || !connection.empty(); }
  std::string name() const;  // in messages; never holds a password
};

// Some rows of a source, in its order. A block owns what its cells view: it may be moved to another thread, and its
// views hold until it is destroyed or given to RowReader::next() again.
struct RowBlock {
  int64_t rows = 0, width = 0;
  std::vector<std::string_view> cells;  // [rows, width]; an empty cell is a missing value
  std::vector<int64_t> lines;           // [rows] the line of the file (database: the row) on which a row begins
  std::string file;                     // in messages
  std::shared_ptr<void> memory;         // of the reader: what the cells view

  std::string_view cell(int64_t row, size_t column) const { return cells[static_cast<size_t>(row * width) + column]; }
  // DataError "file:line: column 'name': what".
  [[noreturn]] void fail(int64_t row, std::string_view column, const std::string& what) const;
};

class RowReader {
 public:
  virtual ~RowReader() = default;
  const std::string& name() const { return name_; }
  const std::vector<std::string>& columns() const { return columns_; }
  // Position of a column; DataError names the source, the column and the nearest existing one.
  size_t column(std::string_view name) const;
  bool has_column(std::string_view name) const;
  // The next rows; false at the end. DataError "file:line: ..." for broken rows, IoError for a source that fails.
  virtual bool next(RowBlock& block) = 0;
  // For progress: how much of the source has been read, in [0, 1]; negative when that is unknown.
  virtual double progress() const { return -1; }

 protected:
  std::string name_;
  std::vector<std::string> columns_;
};

// Reads in the background on spec.threads threads of its own, a few blocks ahead; rows come in the order of the source.
// ConfigError: an unknown format, settings that contradict each other, a format that was not built in. IoError,
// DataError: a source that cannot be opened, a broken header, files of one source whose columns differ.
std::unique_ptr<RowReader> open_rows(const SourceSpec& spec);

CsvOptions format_options(std::string_view format);  // of csv, tsv, recbole, criteo; ConfigError lists the formats
const std::vector<std::string>& source_formats();    // their names
// By the ending of a name ("x.csv.gz" is csv), of a directory by its first file; csv when it tells nothing.
std::string format_of(const std::string& path);

}  // namespace winnow
