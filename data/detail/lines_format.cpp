// Plain text: each line is the one cell of a row.
#include <cstring>

#include "core/error.h"
#include "data/detail/text_format.h"

namespace winnow::detail {
namespace {

class LinesFormat final : public TextFormat {
 public:
  LinesFormat() { columns_ = {"text"}; }
  void begin_file(Piece& /*piece*/) override {}
  void parse(Piece& piece, RowBlock& block) const override {
    begin_block(piece, block, 1);
    block.cells.clear();
    block.lines.clear();
    const std::string_view text = piece.view();
    for (size_t begin = 0; begin < text.size();) {
      const size_t end = std::min(text.find('\n', begin), text.size());
      std::string_view line = text.substr(begin, end - begin);
      if (line.ends_with('\r')) line.remove_suffix(1);
      block.cells.push_back(line);
      block.lines.push_back(piece.line + static_cast<int64_t>(block.lines.size()));
      WN_CHECK(line.find('\0') == std::string_view::npos, DataError, "{}:{}: a NUL byte", piece.file,
               block.lines.back());
      begin = end + 1;
    }
    block.rows = static_cast<int64_t>(block.lines.size());
  }
};

}  // namespace

std::unique_ptr<TextFormat> make_lines_format() { return std::make_unique<LinesFormat>(); }

}  // namespace winnow::detail
