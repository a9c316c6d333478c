// data/detail/svm_format: libsvm and libffm: DataError or rows; with the columns named, blocks of any size give the
// same cells. The first byte chooses the format and the size of the blocks.
#include "tests/fuzz/read_blocks.h"

constexpr size_t kBlockBytes = size_t{16} << 10;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace winnow;
  if (size == 0) return 0;
  const bool fields = (data[0] & 1) != 0;
  const std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
  const auto format = [&](std::vector<std::string> wanted) {
    return fields ? detail::make_libffm_format(std::move(wanted)) : detail::make_libsvm_format(std::move(wanted));
  };
  {
    const MemoryBound bound(text.size());
    read_blocks(text, format({}), kBlockBytes, false);
  }
  FuzzedTable whole = read_blocks(text, format({}), kBlockBytes);
  if (!whole.error.empty()) return 0;
  if (!fields) {
    whole.columns.push_back("ids");
    whole.columns.push_back("values");
    whole = read_blocks(text, format(whole.columns), kBlockBytes);
    expect(whole.error.empty(), "ids and values of every row");
  }
  const FuzzedTable blocks = read_blocks(text, format(whole.columns), 64 + size_t{data[0]} * 4);
  expect(blocks.error.empty() && blocks.cells == whole.cells && blocks.lines == whole.lines,
         "the same rows in blocks of any size");
  return 0;
}
