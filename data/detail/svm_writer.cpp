// libsvm and libffm as they are written.
#include <algorithm>
#include <charconv>
#include <optional>

#include "core/error.h"
#include "core/text.h"
#include "data/detail/line_writer.h"
#include "data/timestamp.h"

namespace winnow::detail {
namespace {

constexpr std::string_view kValues = ".values";

std::optional<uint32_t> whole_number(std::string_view text) {
  uint32_t n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc{} || end != text.data() + text.size() || n == UINT32_MAX || fmt::format("{}", n) != text)
    return {};
  return n;
}

// The next word of a list whose words are separated by spaces.
std::string_view next_word(std::string_view& list) {
  const size_t begin = std::min(list.find_first_not_of(' '), list.size());
  const size_t end = std::min(list.find(' ', begin), list.size());
  const std::string_view word = list.substr(begin, end - begin);
  list.remove_prefix(end);
  return word;
}

class SvmWriter final : public LineWriter {
 public:
  SvmWriter(std::vector<std::string> columns, bool fields) : columns_(std::move(columns)), fields_(fields) {
    const auto place_of = [&](std::string_view name) {
      const auto at = std::ranges::find(columns_, name);
      return at == columns_.end() ? std::optional<size_t>{} : static_cast<size_t>(at - columns_.begin());
    };
    const auto label = place_of("label");
    WN_CHECK(label, ConfigError, "{} needs a column named label", format());
    label_ = *label;
    if (!fields_) qid_ = place_of("qid");
    for (size_t c = 0; c < columns_.size(); ++c) {
      const bool values = fields_ && columns_[c].ends_with(kValues) &&
                          place_of(columns_[c].substr(0, columns_[c].size() - kValues.size()));
      if (c != label_ && c != qid_ && !values)
        features_.push_back({0, c, fields_ ? place_of(columns_[c] + std::string(kValues)) : std::nullopt});
    }
    number_features();
  }

  std::string header(const RowBlock&) const override { return {}; }

  void append(const RowBlock& block, int64_t row, std::string& text) const override {
    text += number(block, row, label_, "the label");
    if (qid_ && !block.cell(row, *qid_).empty()) {
      if (!whole_number(block.cell(row, *qid_)))
        block.fail(row, "qid", fmt::format("{} is not a whole number", quoted(block.cell(row, *qid_))));
      (text += " qid:") += block.cell(row, *qid_);
    }
    for (const Feature& feature : features_) {
      if (block.cell(row, feature.column).empty()) continue;
      if (fields_)
        append_field(block, row, feature, text);
      else
        fmt::format_to(std::back_inserter(text), " {}:{}", feature.number,
                       number(block, row, feature.column, "a feature"));
    }
    text += '\n';
  }

 private:
  struct Feature {
    uint32_t number;
    size_t column;
    std::optional<size_t> values;
  };
  const char* format() const { return fields_ ? "libffm" : "libsvm"; }

  void number_features() {
    const bool named =
        std::ranges::all_of(features_, [&](const Feature& f) { return whole_number(columns_[f.column]).has_value(); });
    uint32_t next = fields_ ? 0 : 1;
    for (Feature& f : features_) {
      f.number = named ? *whole_number(columns_[f.column]) : next++;
      if (!named)
        notes_.push_back(fmt::format("column {} is {} {}", columns_[f.column], fields_ ? "field" : "index", f.number));
    }
    std::ranges::sort(features_, {}, &Feature::number);
  }

  std::string_view number(const RowBlock& block, int64_t row, size_t column, const char* what) const {
    const std::string_view cell = block.cell(row, column);
    if (!parse_number(cell))
      block.fail(
          row, columns_[column],
          fmt::format("{} is {}; {} holds numbers only", what, cell.empty() ? "missing" : quoted(cell), format()));
    return cell;
  }

  void append_field(const RowBlock& block, int64_t row, const Feature& feature, std::string& text) const {
    std::string_view indices = block.cell(row, feature.column),
                     values = feature.values ? block.cell(row, *feature.values) : "";
    const bool valued = !values.empty();
    for (std::string_view index = next_word(indices); !index.empty(); index = next_word(indices)) {
      if (!whole_number(index))
        block.fail(row, columns_[feature.column],
                   fmt::format("{} is not a whole number, which an index of libffm is", quoted(index)));
      const std::string_view value = valued ? next_word(values) : "1";
      if (!parse_number(value))
        block.fail(row, columns_[*feature.values],
                   fmt::format("{} is not a number for index {}", quoted(value), index));
      fmt::format_to(std::back_inserter(text), " {}:{}:{}", feature.number, index, value);
    }
    if (!next_word(values).empty()) block.fail(row, columns_[*feature.values], "more values than indices");
  }

  std::vector<std::string> columns_;
  bool fields_;
  size_t label_ = 0;
  std::optional<size_t> qid_;
  std::vector<Feature> features_;
};

}  // namespace

std::unique_ptr<LineWriter> make_svm_writer(std::vector<std::string> columns, bool fields) {
  return std::make_unique<SvmWriter>(std::move(columns), fields);
}

}  // namespace winnow::detail
