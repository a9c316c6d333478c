// data/detail/jsonl_format.h: DataError or rows; with the columns named, blocks of any size give the same cells.
// The first byte is the size of the blocks.
#include "tests/fuzz/read_blocks.h"

constexpr size_t kBlockBytes = size_t{16} << 10;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace winnow;
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
  {
    const MemoryBound bound(text.size());
    read_blocks(text, detail::make_jsonl_format({}, ' '), kBlockBytes, false);
  }
  const FuzzedTable whole = read_blocks(text, detail::make_jsonl_format({}, ' '), kBlockBytes);
  if (!whole.error.empty()) return 0;
  const FuzzedTable blocks = read_blocks(text, detail::make_jsonl_format(whole.columns, ' '), 64 + size_t{data[0]} * 4);
  expect(blocks.error.empty(), "no error");
  expect(blocks.cells == whole.cells && blocks.lines == whole.lines, "the same rows in blocks of any size");
  return 0;
}
