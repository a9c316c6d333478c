// Rows of cells from any source, a block at a time: the one way in for everything that reads tables.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "data/csv.h"

namespace winnow {

// Where rows come from.
struct SourceSpec {
  std::string path;    // a file
  std::string format;  // csv, tsv, recbole; "": by the ending of the name, csv when it tells nothing
  CsvOptions csv;      // for the separated formats; format_options() gives those of a format
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

// ConfigError: an unknown format. IoError, DataError: a source that cannot be opened, a broken header.
std::unique_ptr<RowReader> open_rows(const SourceSpec& spec);

CsvOptions format_options(std::string_view format);  // of csv, tsv, recbole; ConfigError lists the formats

}  // namespace winnow
