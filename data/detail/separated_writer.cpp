// csv, tsv, recbole and criteo as they are written.
#include <algorithm>
#include <array>

#include "core/error.h"
#include "core/text.h"
#include "data/detail/line_writer.h"
#include "data/detail/parse_number.h"

namespace winnow::detail {
namespace {

// Columns that RecBole's own data sets declare as float even when all values are whole.
constexpr std::array<std::string_view, 4> kFloatNames = {"rating", "timestamp", "label", "weight"};

std::vector<std::string> criteo_columns(bool label) {
  std::vector<std::string> all;
  if (label) all.emplace_back("label");
  for (int i = 1; i <= 13; ++i) all.push_back(fmt::format("I{}", i));
  for (int i = 1; i <= 26; ++i) all.push_back(fmt::format("C{}", i));
  return all;
}

class SeparatedWriter final : public LineWriter {
 public:
  SeparatedWriter(std::string format, std::vector<std::string> columns)
      : format_(std::move(format)), columns_(std::move(columns)), options_(format_options(format_)) {
    WN_CHECK(
        format_ != "criteo" || columns_ == criteo_columns(true) || columns_ == criteo_columns(false), ConfigError,
        "a Criteo file has exactly the columns label (optional), I1 to I13, C1 to C26; choose them with --columns");
  }

  std::string header(const RowBlock& first) const override {
    std::string text;
    if (format_ == "criteo") return text;
    for (size_t c = 0; c < columns_.size(); ++c) {
      if (c > 0) text += options_.separator;
      WN_CHECK(options_.quoting || columns_[c].find_first_of("\t\n\r:") == std::string::npos, ConfigError,
               "{} cannot have a column named {}", format_, quoted(columns_[c]));
      append_cell(columns_[c], text);
      if (format_ == "recbole") text += type_of(first, c);
    }
    return text += '\n';
  }

  void append(const RowBlock& block, int64_t row, std::string& text) const override {
    for (size_t c = 0; c < columns_.size(); ++c) {
      const std::string_view cell = block.cell(row, c);
      if (c > 0) text += options_.separator;
      if (cell.find('\0') != std::string_view::npos)
        block.fail(row, columns_[c], "a NUL byte, which no text format holds");
      if (!options_.quoting && cell.find_first_of("\t\n\r") != std::string_view::npos)
        block.fail(row, columns_[c],
                   fmt::format("{} holds a tab or line end, which {} cannot write", quoted(cell), format_));
      if (!options_.quoting && cell.empty() && columns_.size() == 1)
        block.fail(row, columns_[c], fmt::format("a missing cell of a single column, which {} cannot write", format_));
      append_cell(cell, text);
    }
    text += '\n';
  }

 private:
  void append_cell(std::string_view cell, std::string& text) const {
    const char special[] = {options_.separator, '"', '\n', '\r'};
    const bool blank_line = cell.empty() && columns_.size() == 1;
    if (!options_.quoting || (!blank_line && cell.find_first_of({special, 4}) == std::string_view::npos)) {
      text += cell;
      return;
    }
    text += '"';
    for (const char c : cell) text.append(c == '"' ? 2 : 1, c);
    text += '"';
  }

  const char* type_of(const RowBlock& first, size_t c) const {
    bool numbers = first.rows > 0, whole = std::ranges::find(kFloatNames, columns_[c]) == kFloatNames.end();
    for (int64_t r = 0; r < first.rows && numbers; ++r) {
      const std::string_view cell = first.cell(r, c);
      int64_t integer;
      double number;
      if (cell.empty()) continue;
      numbers = parse_double(cell, number);
      whole = whole && parse_int64(cell, integer);
    }
    return numbers && !whole ? ":float" : ":token";
  }

  std::string format_;
  std::vector<std::string> columns_;
  CsvOptions options_;
};

}  // namespace

std::unique_ptr<LineWriter> make_separated_writer(const std::string& format, std::vector<std::string> columns) {
  return std::make_unique<SeparatedWriter>(format, std::move(columns));
}

}  // namespace winnow::detail
