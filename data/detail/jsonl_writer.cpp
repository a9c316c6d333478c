// jsonl as it is written.
#include "core/error.h"
#include "core/text.h"
#include "data/detail/line_writer.h"

namespace winnow::detail {
namespace {

// -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?
bool is_json_number(std::string_view text) {
  size_t at = 0;
  const auto digits = [&] {
    const size_t first = at;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9') ++at;
    return at - first;
  };
  const auto accept = [&](char c) { return at < text.size() && text[at] == c ? (++at, true) : false; };
  accept('-');
  const size_t first = at, whole = digits();
  if (whole == 0 || (whole > 1 && text[first] == '0')) return false;
  if (accept('.') && digits() == 0) return false;
  if (accept('e') || accept('E')) {
    if (!accept('+')) accept('-');
    if (digits() == 0) return false;
  }
  return at == text.size();
}

void append_string(std::string_view text, std::string& out) {
  out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\')
      (out += '\\') += c;
    else if (c == '\n')
      out += "\\n";
    else if (static_cast<unsigned char>(c) < 0x20)
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned>(c));
    else
      out += c;
  }
  out += '"';
}

class JsonlWriter final : public LineWriter {
 public:
  explicit JsonlWriter(std::vector<std::string> columns) : columns_(std::move(columns)) {
    for (const std::string& name : columns_) {
      WN_CHECK(is_utf8(name), ConfigError, "column {} is not UTF-8, which JSON needs", quoted(name));
      std::string key;
      append_string(name, key);
      keys_.push_back((keys_.empty() ? "{" : ",") + key + ":");
    }
  }

  std::string header(const RowBlock&) const override { return {}; }

  void append(const RowBlock& block, int64_t row, std::string& text) const override {
    for (size_t c = 0; c < columns_.size(); ++c) {
      const std::string_view cell = block.cell(row, c);
      text += keys_[c];
      if (cell.empty()) {
        text += "null";
      } else if (is_json_number(cell)) {
        text += cell;
      } else {
        if (!is_utf8(cell))
          block.fail(row, columns_[c], fmt::format("{} is not UTF-8, which JSON needs", quoted(cell)));
        if (cell.find('\0') != std::string_view::npos)
          block.fail(row, columns_[c], "a NUL byte, which no text format holds");
        append_string(cell, text);
      }
    }
    text += "}\n";
  }

 private:
  std::vector<std::string> columns_, keys_;
};

}  // namespace

std::unique_ptr<LineWriter> make_jsonl_writer(std::vector<std::string> columns) {
  return std::make_unique<JsonlWriter>(std::move(columns));
}

}  // namespace winnow::detail
