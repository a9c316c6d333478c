// data/detail/csv_format.h in blocks of any size against CsvReader over the whole text: the same rows, lines and
// errors. The first byte chooses the options, the second the size of the blocks.
#include <algorithm>

#include "data/csv.h"
#include "tests/fuzz/read_blocks.h"

namespace winnow {
namespace {

FuzzedTable read_whole(std::string_view text, const CsvOptions& options) {
  FuzzedTable table;
  try {
    CsvReader reader("fuzzed", text, options);
    table.columns = reader.header();
    while (reader.next()) {
      for (const std::string_view cell : reader.cells()) table.cells.push_back(std::hash<std::string_view>()(cell));
      table.lines.push_back(reader.line());
    }
  } catch (const DataError& e) { table.error = e.what(); }
  return table;
}

void compare(std::string_view text, const CsvOptions& options, size_t block_bytes) {
  const FuzzedTable whole = read_whole(text, options);
  const FuzzedTable blocks = read_blocks(text, detail::make_csv_format(options, true), block_bytes);
  expect(blocks.error == whole.error, "the same error");
  expect(blocks.columns == whole.columns, "the same columns");
  expect(blocks.cells.size() <= whole.cells.size() &&
             std::equal(blocks.cells.begin(), blocks.cells.end(), whole.cells.begin()),
         "the same cells, up to the block of an error");
  expect(!whole.error.empty() || blocks.cells.size() == whole.cells.size(), "all cells");
  expect(std::equal(blocks.lines.begin(), blocks.lines.end(), whole.lines.begin()), "the same lines");
}

}  // namespace
}  // namespace winnow

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace winnow;
  if (size < 2) return 0;
  const CsvOptions options{
      .separator = (data[0] & 1) != 0 ? '\t' : ',', .quoting = (data[0] & 2) == 0, .strip_types = (data[0] & 4) != 0};
  const std::string_view text(reinterpret_cast<const char*>(data + 2), size - 2);
  compare(text, options, 64 + size_t{data[1]} * 4);
  return 0;
}
