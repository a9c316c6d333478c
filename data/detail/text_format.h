// The text formats: how a piece of whole lines becomes rows.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "data/detail/block_source.h"
#include "data/detail/row_chunks.h"

namespace winnow::detail {

class TextFormat {
 public:
  virtual ~TextFormat() = default;
  virtual RowEnds row_ends() const { return {}; }
  // The first piece of each file, before parse(): cuts off a header, learns the columns from the first file and checks
  // those of the others. DataError.
  virtual void begin_file(Piece& piece) = 0;
  // Rows of columns(). Views into the piece, which may be rewritten, and its memory's scratch. DataError file:line.
  virtual void parse(Piece& piece, RowBlock& block) const = 0;
  // An empty file is an error unless this says the format has no header.
  virtual bool may_be_empty() const { return true; }
  // Rows may be much shorter than columns() says, so that blocks are limited by their cells too. Not with quoting.
  virtual bool is_sparse() const { return false; }
  const std::vector<std::string>& columns() const { return columns_; }

 protected:
  std::vector<std::string> columns_;
};

// Separated text; has_header false: Criteo's columns.
std::unique_ptr<TextFormat> make_csv_format(const CsvOptions& options, bool has_header);
// wanted: the columns asked for; empty: what the first block shows.
std::unique_ptr<TextFormat> make_jsonl_format(std::vector<std::string> wanted, char list_separator);
std::unique_ptr<TextFormat> make_libsvm_format(std::vector<std::string> wanted);
std::unique_ptr<TextFormat> make_lines_format();
std::unique_ptr<TextFormat> make_libffm_format(std::vector<std::string> wanted);

// Takes the place of a block's former rows; memory of the piece becomes the block's.
void begin_block(Piece& piece, RowBlock& block, size_t width);

// A text as one file of a source: for tests and tools that hold it in memory, which the caller keeps alive.
std::unique_ptr<BlockSource> open_memory(std::string name, std::string_view text, std::unique_ptr<TextFormat> format,
                                         size_t block_bytes);

}  // namespace winnow::detail
