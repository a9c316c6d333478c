// Strict reader of separated text with a header row: CSV and TSV as in RFC 4180, and unquoted TSV (RecBole atomic
// files).
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace winnow {

struct CsvOptions {
  char separator = ',';
  bool quoting = true;       // false: a quote is an ordinary character
  bool strip_types = false;  // RecBole: column names end in ":token", ":float", ... and lose that ending
};

// Reads a text that the caller keeps alive, one row after another.
//   Rows end in LF or CRLF; a UTF-8 byte order mark is skipped; blank lines at the very end are
//   ignored.
//   A cell that begins with a quote ends at the next single quote and may hold separators, line ends and doubled
//   quotes; a quote elsewhere in a cell is an ordinary character. Cells are views of the text; those with doubled
//   quotes are views of a buffer that the next row overwrites.
// DataError "file:line: what": an empty file, a column without a name, over 16384 columns, two columns of one name, a
// NUL byte, an unclosed quote (the line on which it began), text after a closing quote, a row with another number of
// fields than the header. ConfigError: a separator that is a quote, a line end or NUL.
class CsvReader {
 public:
  // file: its name in messages.
  // more_follows: the text is the beginning of one, ends with a line end, and a \r before that is the last row's own.
  CsvReader(std::string file, std::string_view text, const CsvOptions& options = {}, bool more_follows = false);
  // A text without a header row: rows of a larger one, from line `first_line` of it on.
  CsvReader(std::string file, std::string_view rows, const CsvOptions& options, std::vector<std::string> header,
            int64_t first_line);

  const std::string& file() const { return file_; }
  const std::vector<std::string>& header() const { return header_; }
  // Position of a column; DataError names the file, the column and the nearest existing one.
  size_t column(std::string_view name) const;
  bool has_column(std::string_view name) const;

  bool next();  // false at the end
  std::span<const std::string_view> cells() const { return cells_; }
  int64_t line() const { return row_line_; }  // where the current row begins; the header is line 1
  int64_t rows() const { return rows_; }      // read so far
  size_t position() const { return begin_; }  // bytes of the text read so far

 private:
  struct Unescaped {
    size_t cell, offset, size;
  };
  uint64_t classify(size_t base) const;
  size_t next_special();
  void read_row();
  void add_cell(std::string_view cell) {
    if (fields_++ < width_) cells_.push_back(cell);
  }
  size_t end_line(size_t begin, size_t end);
  size_t read_quoted(size_t open);
  void unescape(std::string_view quoted);
  void read_header(bool strip_types);
  void begin_text();
  [[noreturn]] void fail(int64_t line, const std::string& what) const;

  std::string file_;
  std::string_view text_;
  char separator_;
  bool quoting_;
  std::vector<std::string> header_;
  std::vector<std::string_view> cells_;
  std::vector<Unescaped> unescaped_;
  std::string scratch_;
  size_t width_ = 0;   // cells kept of a row: as many as the header has
  size_t fields_ = 0;  // of the current row
  size_t begin_ = 0;   // of the next row
  size_t base_ = 0;    // of the 64-byte block that mask_ describes
  uint64_t mask_ = 0;  // its separators, line ends, quotes and NULs that were not yet returned
  int64_t line_ = 1, row_line_ = 1, rows_ = 0;
};

}  // namespace winnow
