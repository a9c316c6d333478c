// What a table holds, column by column, in one pass over any source.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/quantile_sketch.h"
#include "data/rows.h"
#include "data/schema.h"

namespace winnow {

struct DescribeOptions {
  int64_t top = 5;                // values shown of each column
  std::optional<CellRule> label;  // of the schema, when there is one
  std::string user, item;         // columns whose activity is counted; "" none
};
DescribeOptions describe_options(const Schema& schema);

struct TopValue {
  std::string text;
  int64_t count = 0;
};

// Numbers with what describes them; q: minimum, 1 %, 5 %, 25 %, 50 %, 75 %, 95 %, 99 %, maximum.
struct NumberSummary {
  static constexpr double kQuantiles[] = {0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1};
  int64_t count = 0;
  double mean = 0, deviation = 0;  // over n
  std::vector<double> q;
  int64_t rank_error = 0;          // bound of the quantiles' ranks; 0: exact
  std::vector<int64_t> histogram;  // 24 equal bins from the 1 % to the 99 % quantile, the ends with what lies outside
};

struct ColumnSummary {
  std::string name;
  // A guess, when all cells that are there agree: empty, binary, integer, number, timestamp, category (few values, or
  // short ones), id (nearly all distinct), text.
  std::string type;
  std::string time_format;  // of a timestamp
  int64_t missing = 0;
  int64_t distinct = 0;
  bool distinct_exact = true;            // else HyperLogLog of 2^14 registers: standard error 0.81 %
  std::vector<TopValue> top;             // by falling count
  int64_t top_error = 0;                 // counts are low by at most so much (Misra, Gries 1982); 0: exact
  std::optional<NumberSummary> numbers;  // when every cell is a number
  std::optional<NumberSummary> lengths;  // of texts, in code points
  std::optional<int64_t> from, to;       // seconds, of timestamps
};

struct TableSummary {
  std::string name;
  int64_t rows = 0;
  std::vector<ColumnSummary> columns;
  std::optional<double> label_rate;                   // positives, or the mean of a numeric label, of rows with a label
  std::optional<NumberSummary> user_rows, item_rows;  // rows of each user and of each item
  std::string str() const;
  std::string json() const;
};

// Memory: for each column at most 64 Ki distinct values (and 8 MiB of their text) exactly, beyond that the sketches;
// 24 to 64 bytes for each distinct user and item. Columns are shared among the threads; the result is the same for any
// number of them. The reader's errors; DataError: a column of the options that it lacks, a label the rule cannot judge.
TableSummary describe_rows(RowReader& reader, const DescribeOptions& options);

}  // namespace winnow
