#include "data/detail/tables.h"

#include <limits>

#include "core/error.h"
#include "core/text.h"
#include "data/detail/facts.h"

namespace winnow::detail {
namespace {

std::unique_ptr<RowReader> open_table(const TableSpec& table) { return open_rows(table.source); }

}  // namespace

void RawColumn::resize(size_t rows_of) {
  if (numeric)
    numbers.resize(rows_of, std::numeric_limits<double>::quiet_NaN());
  else
    codes.resize(rows_of, 0);
}

void RawColumn::set(size_t row, const RowBlock& block, int64_t block_row, std::string_view name,
                    std::string_view cell) {
  if (cell.empty()) return;
  if (numeric)
    numbers[row] = number_of(block, block_row, name, cell, "");
  else
    codes[row] = add_text(texts, block, block_row, name, cell);
}

Tables::Tables(const Schema& schema) : schema_(schema), rows_(schema.features.size(), RawColumn::Interaction) {
  const auto interactions = open_table(schema.interactions);
  user_column_ = interactions->column(schema.user_id);
  item_column_ = interactions->column(schema.item_id);
  std::unique_ptr<RowReader> users, items;
  if (schema.users.source.given()) users = open_table(schema.users);
  if (schema.items.source.given()) items = open_table(schema.items);
  for (size_t i = 0; i < schema.features.size(); ++i) {
    const FeatureSource source = schema.features[i].source;
    bind(i, *interactions,
         source == FeatureSource::User   ? users.get()
         : source == FeatureSource::Item ? items.get()
                                         : nullptr);
  }
}

void Tables::bind(size_t feature, const RowReader& interactions, const RowReader* side) {
  const FeatureSpec& spec = schema_.features[feature];
  const bool item = spec.source == FeatureSource::Item;
  const std::string& id = item ? schema_.item_id : schema_.user_id;
  const std::string& key = item ? schema_.items.key : schema_.users.key;
  const bool is_key = side != nullptr && (spec.column == id || spec.column == key);
  if (side != nullptr && !is_key && (side->has_column(spec.column) || !interactions.has_column(spec.column))) {
    rows_[feature] = item ? RawColumn::Item : RawColumn::User;
    (item ? items_ : users_).push_back({feature, side->column(spec.column)});
  } else {
    rows_[feature] = item ? RawColumn::ItemInteraction : RawColumn::Interaction;
    interactions_.push_back({feature, interactions.column(is_key ? id : spec.column)});
  }
}

std::unique_ptr<RowReader> Tables::open_interactions() {
  report_ = std::make_shared<CleanReport>();
  return clean_rows([this] { return open_table(schema_.interactions); }, schema_.clean, report_);
}

std::vector<RawColumn> Tables::columns() const {
  std::vector<RawColumn> columns(schema_.features.size());
  for (size_t i = 0; i < columns.size(); ++i) {
    columns[i].rows = rows_[i];
    columns[i].numeric = reads_numbers(schema_.features[i]);
    columns[i].texts.add("");
  }
  return columns;
}

std::vector<bool> Tables::join(const TableSpec& table, const std::vector<Binding>& bindings, const StringIndex& keys,
                               std::vector<RawColumn>& columns, std::vector<std::string>* titles) const {
  const auto count = static_cast<size_t>(keys.size());
  std::vector<bool> found(count);
  const auto reader = open_table(table);
  const size_t key = reader->column(table.key), title = titles != nullptr ? reader->column(table.title) : 0;
  if (titles != nullptr) titles->resize(count);
  for (const Binding& b : bindings) columns[b.feature].resize(count);
  StringIndex seen;
  std::vector<int64_t> lines;
  for (RowBlock block; reader->next(block);)
    for (int64_t r = 0; r < block.rows; ++r) {
      const std::string_view cell = block.cell(r, key);
      if (cell.empty()) block.fail(r, table.key, "the key is missing");
      const int32_t number = seen.add(cell);
      if (static_cast<size_t>(number) < lines.size())
        block.fail(r, table.key,
                   fmt::format("{} stands on line {} too", quoted(cell), lines[static_cast<size_t>(number)]));
      lines.push_back(block.lines[static_cast<size_t>(r)]);
      const int32_t found_at = keys.find(cell);
      if (found_at < 0) continue;
      const auto row = static_cast<size_t>(found_at);
      found[row] = true;
      if (titles != nullptr) (*titles)[row] = title_of(block, r, table.title, block.cell(r, title));
      for (const Binding& b : bindings)
        columns[b.feature].set(row, block, r, schema_.features[b.feature].column, block.cell(r, b.column));
    }
  return found;
}

std::vector<bool> Tables::join_users(const StringIndex& keys, std::vector<RawColumn>& columns) const {
  if (!schema_.users.source.given()) return {};
  return join(schema_.users, users_, keys, columns, nullptr);
}

std::vector<bool> Tables::join_items(const StringIndex& keys, std::vector<RawColumn>& columns,
                                     std::vector<std::string>& titles) const {
  if (!schema_.items.source.given()) return {};
  return join(schema_.items, items_, keys, columns, schema_.items.title.empty() ? nullptr : &titles);
}

}  // namespace winnow::detail
