// What every format provides: pieces of the source read one after another, each turned into rows by itself, so that
// reading is serial and parsing parallel.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "data/rows.h"

namespace winnow::detail {

constexpr size_t kPadding = 64;                    // bytes behind a piece of text that may be read
constexpr size_t kMaxRowBytes = size_t{64} << 20;  // of a text row
constexpr size_t kMaxColumns = 16384;

// What the cells of a block view. Blocks that come back lend theirs to later pieces.
struct BlockMemory {
  std::unique_ptr<char[]> bytes;
  size_t capacity = 0;
  std::string scratch;  // for cells that the text does not hold as they are
};
std::shared_ptr<void> make_memory();
// The BlockMemory behind a RowBlock's or piece's memory that nothing else uses; a new one otherwise.
BlockMemory& own_memory(std::shared_ptr<void>& memory);

struct Piece {
  std::shared_ptr<void> memory;
  char* text = nullptr;  // text formats: whole rows, each with its line end, then kPadding bytes; parse() may write
  size_t bytes = 0;
  int64_t line = 1;  // of its first row; databases: the row's number
  std::string file;
  std::vector<uint32_t> numbers;  // of the format: room for parse(), or what read() found
  std::string_view view() const { return {text, bytes}; }
};

class BlockSource {
 public:
  virtual ~BlockSource() = default;
  const std::string& name() const { return name_; }
  const std::vector<std::string>& columns() const { return columns_; }
  virtual bool read(Piece& piece) = 0;  // the next piece; false at the end. Called by one thread at a time.
  // The rows of a piece (perhaps none), all columns. Any thread, several at a time.
  virtual void parse(Piece& piece, RowBlock& block) const = 0;
  virtual double progress() const { return -1; }  // any thread

 protected:
  std::string name_;
  std::vector<std::string> columns_;
};

// As open_rows(), columns selected.
std::unique_ptr<BlockSource> open_blocks(const SourceSpec& spec);

std::unique_ptr<BlockSource> open_text(const SourceSpec& spec);
std::unique_ptr<BlockSource> open_sqlite(const SourceSpec& spec);
std::unique_ptr<BlockSource> open_postgresql(const SourceSpec& spec);
std::unique_ptr<BlockSource> open_parquet(const SourceSpec& spec);  // ConfigError where Arrow is missing

// SELECT text of a database source: its query or table, ordered and continued by the key where one is given.
// `after` is the key's last value as a literal of the database.
std::string select_of(const SourceSpec& spec, const std::string& after);
std::string quoted_name(std::string_view name);  // an SQL identifier

// The files of a path: one, those of a directory or those that match a pattern, sorted by name. IoError when there are
// none.
std::vector<std::string> list_files(const std::string& path);

}  // namespace winnow::detail
