// The interactions of a schema as three files, one a split.
#pragma once
#include <array>
#include <string>

#include "data/dataset.h"

namespace winnow {

struct SplitFiles {
  std::array<std::string, 3> paths;  // as Split
  LoadReport report;                 // rows read, cleaning, counts of the splits
  std::string str() const;           // a table for people
  std::string json() const;          // {"rows_read", "kept", "splits": {"train": {"file", "rows", "positives", ..}}}
};

// Writes <directory>/train.<format>, valid and test: the rows that cleaning keeps, with all columns of the source, in
// its order, in the splits that load_dataset() gives them. format: one of data/row_writer.h, compressed with .gz or
// .zst. Bounded memory whatever the schema's storage. Errors as load_dataset() and make_row_writer().
SplitFiles write_split_files(const Schema& schema, const std::string& directory, const std::string& format = "csv");

}  // namespace winnow
