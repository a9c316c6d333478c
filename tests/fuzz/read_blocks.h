// A text format read block by block, for the fuzz targets.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "data/detail/text_format.h"
#include "tests/fuzz/memory_bound.h"

namespace winnow {

struct FuzzedTable {
  std::vector<std::string> columns;
  std::vector<size_t> cells;  // hashes: sparse texts have many more cells than bytes
  std::vector<int64_t> lines;
  std::string error;
};

// keep: the cells too.
inline FuzzedTable read_blocks(std::string_view text, std::unique_ptr<detail::TextFormat> format, size_t block_bytes,
                               bool keep = true) {
  FuzzedTable table;
  try {
    const auto source = detail::open_memory("fuzzed", text, std::move(format), block_bytes);
    table.columns = source->columns();
    detail::Piece piece;
    for (RowBlock block; source->read(piece);) {
      source->parse(piece, block);
      expect(block.cells.size() == static_cast<size_t>(block.rows) * table.columns.size(), "rows x columns cells");
      expect(block.lines.size() == static_cast<size_t>(block.rows), "a line for each row");
      if (!keep) continue;
      for (const std::string_view cell : block.cells) table.cells.push_back(std::hash<std::string_view>()(cell));
      table.lines.insert(table.lines.end(), block.lines.begin(), block.lines.end());
    }
  } catch (const DataError& e) {
    table.error = e.what();
    expect(table.error.starts_with("fuzzed:"), "an error names the file");
  }
  return table;
}

}  // namespace winnow
