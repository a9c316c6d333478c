// A text cut into pieces of whole rows.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "data/detail/block_source.h"
#include "data/detail/byte_stream.h"

namespace winnow::detail {

// Where rows end: at a line end, but for csv not inside a quoted cell (as CsvReader: a quote opens a cell only as its
// first character).
struct RowEnds {
  char separator = ',';
  bool quoting = false;
};

// The end of the last row that is complete in the text (0: none) and the number of line ends up to it.
struct RowEnd {
  size_t end = 0;
  int64_t lines = 0;
};
RowEnd last_row_end(std::string_view text, RowEnds ends);

// Pieces of about `bytes` bytes, more for a longer row. Every piece but the last ends with exactly one line end, and
// blank lines at the very end of the text are left out, as CsvReader does; the last piece gets a line end. A byte order
// mark is skipped. The cuts depend on the text and `bytes` alone.
// DataError: a row over 64 MiB.
class RowChunks {
 public:
  RowChunks(std::string file, std::unique_ptr<ByteStream> stream, RowEnds ends, size_t bytes);
  bool next(Piece& piece);
  // From now on at most so many rows a piece, of texts without quoting; `piece`, the last delivered, is cut likewise.
  void limit_rows(int64_t rows, Piece& piece);
  int64_t consumed() const { return stream_->consumed(); }

 private:
  void cut_rows(std::string_view text, RowEnd& found);
  void skip_byte_order_mark(char* text);
  bool end_text(BlockMemory& memory, RowEnd& found);
  bool fill(BlockMemory& memory, size_t target);

  std::string file_;
  std::unique_ptr<ByteStream> stream_;
  RowEnds ends_;
  size_t bytes_;
  std::string rest_;  // read, not yet delivered
  size_t size_ = 0;   // of the piece being made
  int64_t line_ = 1, most_rows_ = INT64_MAX;
  bool first_ = true, all_read_ = false;
};

}  // namespace winnow::detail
