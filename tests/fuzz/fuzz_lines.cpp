// data/detail/lines_format: DataError or rows, the same in blocks of any size. The first byte is the size of the
// blocks.
#include "tests/fuzz/read_blocks.h"

constexpr size_t kBlockBytes = size_t{16} << 10;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace winnow;
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
  const FuzzedTable whole = read_blocks(text, detail::make_lines_format(), kBlockBytes);
  if (!whole.error.empty()) return 0;
  expect(whole.columns == std::vector<std::string>{"text"}, "one column");
  const FuzzedTable blocks = read_blocks(text, detail::make_lines_format(), 64 + size_t{data[0]} * 4);
  expect(blocks.error.empty(), "no error");
  expect(blocks.cells == whole.cells && blocks.lines == whole.lines, "the same rows in blocks of any size");
  return 0;
}
