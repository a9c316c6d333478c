// Rows into a file of any format.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "data/rows.h"

namespace winnow {

// Where rows go.
//   csv, tsv       a header row; cells are quoted where they must be.
//   recbole        column names with types: float where the first block's cells are numbers and some are no integers,
//   or
//                  the column is rating, timestamp, label or weight; else token. Cells without tabs and line ends.
//   lines          is only read: ConfigError.
//   criteo         exactly the columns label (optional), I1 .. I13, C1 .. C26; no header.
//   jsonl          a cell that is a JSON number is written as one, a missing cell as null, any other as a string.
//   libsvm         columns label, qid (optional), and features that are numbers; a feature's index is its column's name
//                  where all names are whole numbers, else its place among the features, from 1. Missing: left out.
//   libffm         columns label and fields of whole-number indices, several in a cell separated by spaces, with values
//                  from the column "<field>.values" or 1; fields as libsvm's indices, from 0.
//   sqlite         a new database with one table; numbers where they read back as the same text, else text; missing
//   NULL. parquet        where Winnow was built with Arrow: text columns.
// Read back (the sparse formats: where each column has a cell in the first block), the cells are the same texts.
struct SinkSpec {
  std::string path = {};
  std::string format = {};     // "": by the ending of the name; text formats are compressed for .gz and .zst
  std::string table = "rows";  // sqlite
};

class RowWriter {
 public:
  virtual ~RowWriter() = default;
  // Rows [begin, end) of a block. DataError "file:line: column 'name': what" for a cell that the format cannot hold;
  // IoError.
  virtual void write(const RowBlock& block, int64_t begin, int64_t end) = 0;
  void write(const RowBlock& block) { write(block, 0, block.rows); }
  virtual void commit() = 0;  // the file is in place in full from here on, and not at all before
  const std::vector<std::string>& notes() const { return notes_; }  // for people: which column became which index

 protected:
  std::vector<std::string> notes_;
};

// ConfigError: an unknown format, columns that the format cannot have.
std::unique_ptr<RowWriter> make_row_writer(const SinkSpec& spec, const std::vector<std::string>& columns);

struct ConvertOptions {
  bool resume = false;
  int64_t checkpoint_rows = 65536;                                      // with a key
  std::function<void(int64_t rows, double progress)> on_progress = {};  // progress as RowReader's
};
struct ConvertReport {
  int64_t rows = 0;
  size_t columns = 0;
  int64_t resumed_after = 0;  // rows that an earlier run had written
  std::vector<std::string> notes;
};

// The rows of a source into a file, which appears in full or not at all.
// A database source with a key (from.key) goes through "<path>.part" with its state in "<path>.state", saved every
// checkpoint_rows rows: when it goes away in the middle, resume reads on after the last saved key, and the file has the
// bytes of an undisturbed run (the table must not change in between, and the key must be unique: DataError). Text
// formats only.
ConvertReport convert_rows(const SourceSpec& from, const SinkSpec& to, const ConvertOptions& options = {});

}  // namespace winnow
