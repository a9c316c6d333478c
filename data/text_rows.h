// Tables of texts with targets: what every job that learns from text reads. One or two texts a row, each made of one or
// several columns, the cells of further columns as they are, and the split of each row.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/clean.h"
#include "data/dataset.h"

namespace winnow {

class ConfigNode;

// How rows of the training source are held out where there is no file of its own for it. n rows, m of a stratum:
//   Random      floor(n test) and floor(n valid) rows drawn without replacement by (seed)
//   Stratified  the same in each class of the column `by`, rounded to the nearest
//   Hash        u = xxh64(cells of `by` (none: of the text), seed) / 2^64: test for u < test, validation for
//               u < test + valid. Rows with equal cells are in one split, whatever else the file holds.
//   Time        the latest floor(n test) rows by `time` are test, the floor(n valid) before them validation; ties in
//               order of the source
struct TextSplitSpec {
  enum Method : uint8_t { Random, Stratified, Hash, Time } method = Random;
  double valid = 0, test = 0;  // fractions; both 0: all rows are for training
  std::vector<std::string> by = {};
  std::string time = {}, time_format = "unix";
  uint64_t seed = 42;
};

struct TextRowsSpec {
  std::array<SourceSpec, 3> sources;      // as Split; validation and test may be not given
  std::vector<std::string> text, second;  // columns of the first and of the second text; no second: single texts
  std::string separator = " ";            // between the columns of a text; empty cells are left out
  CleanSpec clean;                        // of each source
  std::vector<std::string> columns = {};  // whose cells are kept: targets
  TextSplitSpec split;
  bool held_out(Split s) const {
    return sources[static_cast<size_t>(s)].given() || (s == Split::Valid ? split.valid : split.test) > 0;
  }
};

// The keys of a `data:` section that say where texts come from:
//   path, train / valid / test {file, format, ...: data/source_config.h}, text, second, separator, clean,
//   split {method, valid, test, by, time, format, seed}; fractions of splits that have a file are unknown keys.
// pairs: `second` may be given. ConfigError.
TextRowsSpec read_text_rows(const ConfigNode& data, bool pairs = false);

struct TextTable {
  std::vector<std::string> first, second;       // [N] texts; second is empty for single texts
  std::vector<std::vector<std::string>> cells;  // [N] for each of TextRowsSpec::columns
  std::array<std::vector<int32_t>, 3> split;    // rows of each, ascending
  CleanReport clean;                            // of all sources together
  int64_t rows() const { return static_cast<int64_t>(first.size()); }
  const std::vector<int32_t>& rows_of(Split s) const { return split[static_cast<size_t>(s)]; }
  std::vector<std::string_view> firsts(std::span<const int32_t> rows) const;
  std::vector<std::string_view> seconds(std::span<const int32_t> rows) const;
  // DataError "file:line: column 'name': what".
  [[noreturn]] void fail(int32_t row, std::string_view column, const std::string& what) const;

  std::vector<std::string> files;  // of the rows
  std::vector<int32_t> file;       // [N] into files
  std::vector<int64_t> line;       // [N]
};

// DataError with file:line: a text that is not UTF-8, a time that is none; an absent column; no training row, or a
// split that was asked for and came out empty.
TextTable read_text_table(const TextRowsSpec& spec);
// The texts of a source, in its order, all of them in Split::Test: what predictions are made for. Other columns of the
// spec are not needed.
TextTable read_texts(const TextRowsSpec& spec, const SourceSpec& source);

}  // namespace winnow
