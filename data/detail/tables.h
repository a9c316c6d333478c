// The tables of a schema: how they are opened, and which of them each feature comes from.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/rows.h"

namespace winnow::detail {

// The cells of one feature: codes of distinct texts, or numbers.
struct RawColumn {
  // What a cell belongs to. ItemInteraction: an interaction, but for a sampled row the one that its item comes from.
  enum Rows : uint8_t { Interaction, ItemInteraction, User, Item } rows = Interaction;
  bool numeric = false;
  StringIndex texts;            // code 0 is "", missing
  std::vector<int32_t> codes;   // [rows]
  std::vector<double> numbers;  // [rows], NaN: missing
  void resize(size_t rows);     // new rows are missing
  // DataError: a number that is none, a text that is not UTF-8.
  void set(size_t row, const RowBlock& block, int64_t block_row, std::string_view name, std::string_view cell);
  bool from_interactions() const { return rows == Interaction || rows == ItemInteraction; }
};

// A feature's column in its table.
struct Binding {
  size_t feature;  // of the schema
  size_t column;   // of the table
};

class Tables {
 public:
  // Opens what there is to find the columns; features come from the side table of their source where it has the column,
  // else from the interactions. DataError: an absent column.
  explicit Tables(const Schema& schema);
  // The interactions from the beginning, cleaned. clean_report() is that of the latest pass, when it has ended.
  std::unique_ptr<RowReader> open_interactions();
  const CleanReport& clean_report() const { return *report_; }

  size_t user_column() const { return user_column_; }  // of the interactions
  size_t item_column() const { return item_column_; }
  const std::vector<Binding>& interaction_bindings() const { return interactions_; }
  // An empty column for each feature of the schema, with `rows` and `numeric` set.
  std::vector<RawColumn> columns() const;

  // Reads the rows of a side table whose key is in `keys` into the columns of its features; titles of items too.
  // Returns which keys have a row; empty without such a table. DataError: a key that is missing or occurs twice.
  std::vector<bool> join_users(const StringIndex& keys, std::vector<RawColumn>& columns) const;
  std::vector<bool> join_items(const StringIndex& keys, std::vector<RawColumn>& columns,
                               std::vector<std::string>& titles) const;

 private:
  void bind(size_t feature, const RowReader& interactions, const RowReader* side);
  std::vector<bool> join(const TableSpec& table, const std::vector<Binding>& bindings, const StringIndex& keys,
                         std::vector<RawColumn>& columns, std::vector<std::string>* titles) const;

  const Schema& schema_;
  size_t user_column_ = 0, item_column_ = 0;
  std::vector<Binding> interactions_, users_, items_;
  std::vector<RawColumn::Rows> rows_;  // of each feature
  std::shared_ptr<CleanReport> report_;
};

}  // namespace winnow::detail
