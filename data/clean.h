// Cleaning of tables: steps that leave rows out or rewrite text, in the order of the config, with everything counted.
//
//   data:
//     clean:
//       - {step: text, columns: [Description], case: lower}
//       - {step: duplicates}
//       - {step: cancelled, column: InvoiceNo, prefix: C, match: [CustomerID, StockCode], quantity: Quantity}
//       - {step: missing, columns: [CustomerID]}
//       - {step: rule, column: Country, rule: one_of, values: [Unspecified]}
//       - {step: impossible, column: UnitPrice, min: 0.01}
//       - {step: outliers, column: Quantity, method: iqr, k: 3, scale: log}
//       - {step: bots, user: visitor, time: at, format: unix, events: 300, seconds: 60, drop: user}
//
// A step sees the rows that the earlier ones kept, with the text as they left it, and a row counts at the first step
// that drops it. Nothing is dropped uncounted.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "data/rows.h"
#include "data/text_normalise.h"

namespace winnow {

class ConfigNode;

// Rows whose cells of `columns` (empty: of all columns) are those of an earlier row; the first stays. Compared by a
// 128-bit hash: 16 bytes a distinct row in a table that is 3/8 to 3/4 full. Two of n different rows are taken for equal
// with probability n^2 2^-129.
struct DropDuplicates {
  std::vector<std::string> columns;
};

// Rows in which a cell of one of the columns is empty.
struct DropMissing {
  std::vector<std::string> columns;
};

// Rows whose cell holds the rule: "< 3", "<= 3", "> 3", ">= 3", "== x", "!= x", "missing", "starts_with x",
// "contains x", and "one_of", "not_one_of" with `values`. A comparison of a cell that is no number is a DataError; an
// empty cell is one of the values only when "" is.
struct DropRule {
  std::string column, rule;
  std::vector<std::string> values;
};

// Rows whose value cannot be. Without time_format the cell is a number, to lie in [min, max]; with it a time (a format
// of TimeFormat), to lie in [earliest, latest] seconds, and with latest_now not after the moment of the run (the one
// setting whose outcome depends on when it runs). A cell that is no finite number, or no such time, cannot be either.
// A missing one stays.
struct DropImpossible {
  std::string column;
  std::optional<double> min, max;
  std::string time_format;
  std::optional<int64_t> earliest, latest;
  bool latest_now = false;
};

// Rows whose number lies outside bounds that are fitted in a pass of its own over all rows which the earlier steps keep
// (of every split: the bounds are part of cleaning, not of the features).
//   Iqr       [q(.25) - k (q(.75) - q(.25)), q(.75) + k (q(.75) - q(.25))]
//   ZScore    mean -+ k times the standard deviation (sum of squares over n)
//   Quantile  [q(low), q(high)]
// q is exact: linear between the two order statistics around (n - 1) p. With `group` there are bounds for each value of
// that column; groups of fewer than min_rows numbers keep all their rows, and so does a group whose spread (the
// difference of the quartiles, the deviation) is 0. log: bounds of sign(x) ln(1 + |x|). Missing cells stay; a cell that
// is no number is a DataError. Memory in the pass: 8 bytes a row with a number, 16 with a group (ZScore: 24 a group).
struct DropOutliers {
  enum Method : uint8_t { Iqr, ZScore, Quantile };
  std::string column, group;
  Method method = Iqr;
  double k = 3, low = 0, high = 1;
  int64_t min_rows = 20;
  bool log = false;
};

// Cancellations: rows whose cell of `column` starts with `prefix`. With `match`, also the row that each takes back: the
// latest row before it in the source, itself no cancellation and not yet taken back, with equal cells in the columns of
// `match` and, with `quantity`, the same number there but for the sign. A row with an empty cell in `match` matches
// none. The two kinds are counted apart. With match: a pass of its own; memory 24 bytes for each distinct key, in a
// table 3/8 to 3/4 full, and 8 bytes a row.
struct DropCancelled {
  std::string column, prefix;
  std::vector<std::string> match;
  std::string quantity;
};

// Users with more than `events` rows in less than `seconds` seconds: all their rows, or only those of such bursts. The
// rows need not be in order of time. Rows without user stay; a cell that is no time is a DataError. A pass of its own;
// memory 24 bytes a row, and the distinct users.
struct DropBots {
  std::string user, time, time_format = "unix";
  int64_t events = 0, seconds = 0;
  bool whole_user = true;
};

// Rewrites the cells of the columns; drops nothing. Text that is not UTF-8 is an error with its line, or repaired,
// as the options say.
struct NormaliseTextStep {
  std::vector<std::string> columns;
  TextNormalisation options;
};

using CleanStep = std::variant<DropDuplicates, DropMissing, DropRule, DropImpossible, DropOutliers, DropCancelled,
                               DropBots, NormaliseTextStep>;

struct CleanSpec {
  std::vector<CleanStep> steps;
  bool empty() const { return steps.empty(); }
};

// The list `data.clean`. ConfigError with file:line.
CleanSpec parse_clean(const std::vector<ConfigNode>& steps);

// What cleaning did. Filled while rows are read; final when the reader has returned false.
struct CleanReport {
  struct Example {
    std::string where, text;  // "file:line", the row's cells, shortened
  };
  struct Step {
    std::string step, column, what;                 // as in the config; columns joined by ", "; the setting in words
    int64_t rows_in = 0, dropped = 0, changed = 0;  // changed: cells
    std::vector<Example> examples;                  // of dropped rows, or changed cells; the first three
  };
  int64_t rows_read = 0, kept = 0;
  std::vector<Step> steps;  // as in the config; `cancelled` with match has two, the second for the rows taken back
  std::string str() const;  // a table for people
  // {"rows_read": n, "kept": n, "steps": [{"step", "column", "what", "rows_in", "dropped", "changed", "examples"}]}
  std::string json() const;
};

using OpenRows = std::function<std::unique_ptr<RowReader>()>;

// A reader of the source's columns that gives the rows which the steps keep. The source is opened once, and once more
// for each step with a pass of its own; these run at the first next(). DataError: a column that the source lacks, and
// as the steps say; the source's own errors.
std::unique_ptr<RowReader> clean_rows(const OpenRows& open, const CleanSpec& spec, std::shared_ptr<CleanReport> report);

}  // namespace winnow
