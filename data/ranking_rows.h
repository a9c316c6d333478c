// Graded rows of queries: what ranking is trained and judged by, read from any source of rows.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "data/rows.h"

namespace winnow {

// Which columns of a table mean what. A libsvm source has the columns label and, where its lines have one, qid, and its
// indices are the feature columns.
struct RankingColumns {
  std::string label = "label";  // a grade: finite, not negative
  std::string query = "qid";    // the rows of one value are one query, wherever they stand; not read with `groups`
  std::string item;             // a key of the item; "" none
  std::vector<std::string> features;  // numbers; empty with all_features: every column that is none of the others
  bool all_features = false;
  std::vector<std::string> texts;  // to be kept as they are
};

// Rows of one source, those of a query together: queries in order of first appearance, rows of a query in order.
struct RankingRows {
  std::string name;                             // of the source, in messages
  std::vector<float> labels;                    // [rows]; 0 where the source has no such column and none was required
  std::vector<int64_t> offsets = {0};           // [queries + 1]
  std::vector<std::string> queries;             // [queries] their keys; with group sizes "1", "2", ...
  std::vector<std::string> items;               // [rows], or empty
  std::vector<std::string> features;            // names; of libsvm ascending indices
  std::vector<float> values;                    // [rows, features]; NaN is missing
  std::vector<std::vector<std::string>> texts;  // [text columns][rows]
  std::vector<int64_t> source_rows;             // [rows] the place of a row in the source, from 0

  int64_t rows() const { return static_cast<int64_t>(labels.size()); }
  int64_t query_count() const { return static_cast<int64_t>(queries.size()); }
};

constexpr int64_t kMaxRankingFeatures = 16384;

struct RankingSource {
  SourceSpec source;
  std::string groups;  // a file of group sizes (data/group_sizes.h); "" none
};

// With `like` the features are these, those of an earlier table, in this order: an index that no line has is absent,
// and one that `like` does not have is left out, as LightGBM does. absent_is_zero: of libsvm, what a line leaves out is
// 0, else missing. labels_required: false for rows that are only to be scored. DataError with file:line: an absent
// column (with the nearest name), a cell that is no number, a grade out of range, a row without a query, sizes that do
// not add up to the rows, no rows. IoError.
RankingRows read_ranking_rows(const RankingSource& source, const RankingColumns& columns, bool absent_is_zero = true,
                              const std::vector<std::string>* like = nullptr, bool labels_required = true);

// The queries of `rows` that `chosen` numbers, in that order.
RankingRows select_queries(const RankingRows& rows, const std::vector<int64_t>& chosen);

}  // namespace winnow
