#include "data/detail/facts.h"

#include "core/error.h"
#include "core/text.h"

namespace winnow::detail {

void check_text(const RowBlock& block, int64_t row, std::string_view column, std::string_view cell) {
  if (!is_utf8(cell))
    block.fail(row, column, fmt::format("{} is not UTF-8; convert the file, for example with iconv", quoted(cell)));
}

void FactBlock::clear() {
  user.clear();
  item.clear();
  label.clear();
  weight.clear();
  time.clear();
  stratum.clear();
}

double number_of(const RowBlock& block, int64_t row, std::string_view column, std::string_view cell, const char* what) {
  const auto x = parse_number(cell);
  if (!x) block.fail(row, column, fmt::format("{}{} is not a number", what, quoted(cell)));
  return *x;
}

std::string title_of(const RowBlock& block, int64_t row, std::string_view column, std::string_view cell) {
  check_text(block, row, column, cell);
  return std::string(cell);
}

int32_t add_text(StringIndex& index, const RowBlock& block, int64_t row, std::string_view column,
                 std::string_view cell) {
  const int32_t before = index.size(), code = index.add(cell);
  if (code == before) check_text(block, row, column, cell);
  return code;
}

FactReader::FactReader(const Schema& schema, const RowReader& rows)
    : schema_(schema),
      format_(schema.time_format),
      user_(rows.column(schema.user_id)),
      item_(rows.column(schema.item_id)) {
  const auto optional_column = [&](const std::string& name) {
    return name.empty() ? std::optional<size_t>{} : rows.column(name);
  };
  time_ = optional_column(schema.timestamp);
  weight_ = optional_column(schema.weight);
  label_ = optional_column(schema.label ? schema.label->column : "");
  title_ = optional_column(schema.interactions.title);
  if (schema.split.method != SplitSpec::Stratified) return;
  stratum_ = optional_column(schema.split.by);
  by_label_ = !stratum_;
}

float FactReader::label_of(const RowBlock& block, int64_t row) const {
  const CellRule& rule = *schema_.label;
  const std::string_view cell = block.cell(row, *label_);
  if (rule.kind == CellRule::AsIs) return static_cast<float>(number_of(block, row, rule.column, cell, "label "));
  if (cell.empty() && rule.kind != CellRule::Missing) block.fail(row, rule.column, "the label is missing");
  const auto positive = holds(rule, cell);
  if (!positive) block.fail(row, rule.column, fmt::format("label {} is not a number", quoted(cell)));
  return *positive ? 1.f : 0.f;
}

void FactReader::find_keys(const RowBlock& block, const StringIndex& index, const std::string& column, size_t at,
                           FactBlock& facts, std::vector<int32_t>& numbers) const {
  facts.keys.clear();
  for (int64_t row = 0; row < block.rows; ++row) {
    facts.keys.push_back(block.cell(row, at));
    if (facts.keys.back().empty())
      block.fail(
          row, column,
          fmt::format("is missing; leave such rows out with `clean: [{{step: missing, columns: [{}]}}]`", column));
  }
  numbers.resize(facts.keys.size());
  index.find(facts.keys, numbers);
}

void FactReader::parse(const RowBlock& block, FactBlock& facts) const {
  facts.clear();
  find_keys(block, users_, schema_.user_id, user_, facts, facts.user);
  find_keys(block, items_, schema_.item_id, item_, facts, facts.item);
  for (int64_t row = 0; row < block.rows; ++row) {
    facts.label.push_back(label_ ? label_of(block, row) : 1.f);
    if (time_) {
      const std::string_view cell = block.cell(row, *time_);
      const auto seconds = format_.parse(cell);
      if (!seconds)
        block.fail(row, schema_.timestamp,
                   fmt::format("{} is not a time of the format {}", quoted(cell), quoted(schema_.time_format)));
      facts.time.push_back(*seconds);
    }
    if (weight_) {
      const double w = number_of(block, row, schema_.weight, block.cell(row, *weight_), "weight ");
      if (w <= 0) block.fail(row, schema_.weight, fmt::format("weight {} must be positive", w));
      facts.weight.push_back(static_cast<float>(w));
    }
    if (stratum_)
      facts.stratum.push_back(strata_.find(block.cell(row, *stratum_)));
    else if (by_label_)
      facts.stratum.push_back(facts.label.back() > 0.5f);
  }
}

void FactReader::add_title(const RowBlock& block, int64_t row, int32_t item) {
  const auto i = static_cast<size_t>(item);
  if (titles_.size() <= i) titles_.resize(i + 1);
  if (titles_[i].empty()) titles_[i] = title_of(block, row, schema_.interactions.title, block.cell(row, *title_));
}

void FactReader::resolve(const RowBlock& block, FactBlock& facts) {
  for (int64_t row = 0; row < block.rows; ++row) {
    const auto r = static_cast<size_t>(row);
    if (facts.user[r] < 0) facts.user[r] = add_text(users_, block, row, schema_.user_id, block.cell(row, user_));
    if (facts.item[r] < 0) facts.item[r] = add_text(items_, block, row, schema_.item_id, block.cell(row, item_));
    if (stratum_ && facts.stratum[r] < 0)
      facts.stratum[r] = add_text(strata_, block, row, schema_.split.by, block.cell(row, *stratum_));
    if (title_) add_title(block, row, facts.item[r]);
  }
}

}  // namespace winnow::detail
