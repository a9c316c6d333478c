// A first config for a table nobody has described yet: which column is what, and why.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/column_profile.h"
#include "data/rows.h"

namespace winnow {

struct InferOptions {
  SourceSpec source;
  // Columns; "": found by their names and cells.
  std::string user = {}, item = {}, label = {}, time = {};
};

// A column as understood.
struct InferredColumn {
  ColumnProfile profile;
  std::string role;    // user, item, label, timestamp, feature, or out: left out
  std::string type;    // of a feature: categorical, multi, sequence, text, numeric
  std::string source;  // of a feature: user, item, context
  std::string keys;    // more keys of its entry, as YAML: "separator: \"|\", max_len: 3"
  std::string why;     // for people
};

struct InferredSchema {
  InferOptions options;
  int64_t rows = 0;
  bool drop_missing_user = false, drop_missing_item = false, drop_missing_label = false;
  std::string label_rule;  // "": the number itself
  double positives = 0;    // share of them
  std::vector<InferredColumn> columns;

  const InferredColumn* of_role(std::string_view role) const;
  std::string yaml() const;  // data, model and train sections, a comment on each line; loads and trains as it is
  std::string json() const;
};

// One pass over the rows. A file whose header is one column with another separator, or with RecBole's types, is read as
// that. By names (case, "_" and "id" endings set aside) and cells:
//   user, item   by name, such as customer_id, sku; ConfigError lists the columns when none is found
//   timestamp    cells of one time format; a name that says so decides between several
//   label        by name; numbers beyond 0 and 1 get the rule ">= t" whose share of positives is nearest to one half
//   features     numeric: all cells are numbers, unless the name says code or id, or 31 integers or fewer occur (hours,
//   days);
//                multi: a separator in 5 % of the cells or more, whose parts repeat; text: 3 words a cell or more;
//                categorical otherwise. Of the user or the item when its rows agree with its first in at least
//                half of the cells, beyond what the column's frequencies explain, else of the context.
//   left out     constants, all missing, times, a new value in nearly every row, numbers of orders and sessions,
//   columns
//                named like a label that is not the label
// Memory: a few hundred KiB a column. DataError: a broken source, text that is not UTF-8, fewer than 10 rows.
InferredSchema infer_schema(const InferOptions& options);

}  // namespace winnow
