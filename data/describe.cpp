#include "data/describe.h"

#include "core/error.h"
#include "core/parallel.h"
#include "core/text.h"
#include "data/detail/column_sketch.h"
#include "data/detail/hash128.h"

namespace winnow {
namespace {

// Rows of each distinct value.
class Activity {
 public:
  Activity(const RowReader& reader, const std::string& column) {
    if (!column.empty()) column_ = reader.column(column);
  }
  void add(const RowBlock& block) {
    if (!column_) return;
    for (int64_t r = 0; r < block.rows; ++r) {
      const std::string_view cell = block.cell(r, *column_);
      if (cell.empty()) continue;
      detail::RowHasher hasher;
      hasher.add(cell);
      bool added = false;
      ++counts_.at(hasher.finish(), added);
    }
  }
  std::optional<NumberSummary> summary() const {
    if (!column_) return {};
    detail::Numbers numbers;
    counts_.for_each([&](int64_t n) { numbers.add(static_cast<double>(n)); });
    return numbers.summary();
  }

 private:
  std::optional<size_t> column_;
  detail::HashTable<int64_t> counts_;
};

class LabelRate {
 public:
  LabelRate(const RowReader& reader, const std::optional<CellRule>& rule) : rule_(rule) {
    if (rule_) column_ = reader.column(rule_->column);
  }
  void add(const RowBlock& block) {
    for (int64_t r = 0; rule_ && r < block.rows; ++r) {
      const std::string_view cell = block.cell(r, column_);
      if (cell.empty()) continue;
      const bool as_is = rule_->kind == CellRule::AsIs;
      const std::optional<double> x = as_is ? parse_number(cell) : std::nullopt;
      const std::optional<bool> positive = as_is ? std::nullopt : holds(*rule_, cell);
      if (!x && !positive) block.fail(r, rule_->column, fmt::format("label {} is not a number", quoted(cell)));
      sum_ += x ? *x : *positive ? 1 : 0;
      ++rows_;
    }
  }
  std::optional<double> rate() const {
    if (!rule_ || rows_ == 0) return {};
    return sum_ / static_cast<double>(rows_);
  }

 private:
  std::optional<CellRule> rule_;
  size_t column_ = 0;
  double sum_ = 0;
  int64_t rows_ = 0;
};

}  // namespace

DescribeOptions describe_options(const Schema& schema) {
  return {.label = schema.label, .user = schema.user_id, .item = schema.item_id};
}

TableSummary describe_rows(RowReader& reader, const DescribeOptions& options) {
  TableSummary summary;
  summary.name = reader.name();
  std::vector<detail::ColumnSketch> columns;
  for (const std::string& name : reader.columns()) columns.emplace_back(name);
  Activity users(reader, options.user), items(reader, options.item);
  LabelRate label(reader, options.label);
  for (RowBlock block; reader.next(block);) {
    parallel_tasks(static_cast<int64_t>(columns.size()), [&](int64_t c) {
      detail::ColumnSketch& column = columns[static_cast<size_t>(c)];
      for (int64_t r = 0; r < block.rows; ++r) column.add(block.cell(r, static_cast<size_t>(c)));
    });
    users.add(block);
    items.add(block);
    label.add(block);
    summary.rows += block.rows;
  }
  for (const detail::ColumnSketch& column : columns) summary.columns.push_back(column.summary(options.top));
  summary.label_rate = label.rate();
  summary.user_rows = users.summary();
  summary.item_rows = items.summary();
  return summary;
}

}  // namespace winnow
