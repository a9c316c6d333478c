// JSONL, a piece at a time.
#include <cstring>

#include "core/error.h"
#include "core/text.h"
#include "data/detail/json_line.h"
#include "data/detail/key_index.h"
#include "data/detail/text_format.h"

namespace winnow::detail {
namespace {

class JsonlFormat final : public TextFormat {
 public:
  JsonlFormat(std::vector<std::string> wanted, char list_separator)
      : separator_(list_separator), chosen_(!wanted.empty()) {
    for (std::string& name : wanted) add_column(name);
  }

  bool is_sparse() const override { return true; }

  void begin_file(Piece& piece) override {
    if (chosen_ || !columns_.empty()) return;
    std::string copy(piece.view());  // reading resolves escapes in place
    std::string_view key, cell;
    int64_t line = piece.line;
    for (size_t at = 0; at < copy.size(); ++line) {
      const size_t end = copy.find('\n', at);
      JsonLine object(copy.data() + at, end - at, piece.file, line, separator_);
      while (object.next(key, cell)) {
        int32_t guess = 0;
        if (keys_.find(key, guess) >= 0) continue;
        if (key.empty()) object.fail_at_key("a key without a name");
        if (columns_.size() >= kMaxColumns)
          object.fail_at_key(
              fmt::format("more than {} different keys; name the needed ones in `columns`", kMaxColumns));
        add_column(std::string(key));
      }
      at = end + 1;
    }
    WN_CHECK(!columns_.empty(), DataError, "{}:{}: no object has a key", piece.file, piece.line);
    last_line_ = line - 1;
  }

  void parse(Piece& piece, RowBlock& block) const override {
    begin_block(piece, block, columns_.size());
    block.lines.clear();
    block.cells.clear();
    std::vector<int64_t> set_on(columns_.size(), 0);  // the last line that gave the column
    int64_t line = piece.line;
    char* const text_end = piece.text + piece.bytes;
    for (char* at = piece.text; at < text_end; ++line) {
      auto* end = static_cast<char*>(std::memchr(at, '\n', static_cast<size_t>(text_end - at)));
      block.lines.push_back(line);
      const size_t row = block.cells.size();
      block.cells.resize(row + columns_.size());
      read_line({at, static_cast<size_t>(end - at), piece.file, line, separator_}, line, set_on,
                block.cells.data() + row);
      at = end + 1;
    }
    block.rows = static_cast<int64_t>(block.lines.size());
  }

 private:
  void add_column(const std::string& name) {
    columns_.push_back(name);
    keys_.add(name);
  }

  void read_line(JsonLine object, int64_t line, std::vector<int64_t>& set_on, std::string_view* cells) const {
    std::string_view key, cell;
    int32_t guess = 0;
    while (object.next(key, cell)) {
      const int32_t column = keys_.find(key, guess);
      if (column < 0) {
        if (chosen_) continue;
        object.fail_at_key(
            fmt::format("the key {} is not on lines 1 to {}, which make the columns{}; name all of them "
                        "in `columns`",
                        quoted(key), last_line_, did_you_mean(key, columns_)));
      }
      const auto c = static_cast<size_t>(column);
      if (set_on[c] == line) object.fail_at_key(fmt::format("the key {} is given twice", quoted(key)));
      set_on[c] = line;
      cells[c] = cell;
    }
  }

  char separator_;
  bool chosen_;
  int64_t last_line_ = 0;
  KeyIndex keys_;
};

}  // namespace

std::unique_ptr<TextFormat> make_jsonl_format(std::vector<std::string> wanted, char list_separator) {
  return std::make_unique<JsonlFormat>(std::move(wanted), list_separator);
}

}  // namespace winnow::detail
