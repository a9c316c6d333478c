// data/detail/byte_stream.h: any bytes as gzip or Zstandard: DataError or bytes, the same for any size of the reads. A
// bomb is read up to 1 MiB. The first byte chooses the format and the size of the reads.
#include <algorithm>

#include "core/error.h"
#include "data/detail/byte_stream.h"
#include "tests/fuzz/memory_bound.h"

namespace winnow {
namespace {

constexpr int kWindowLog = 20;  // what a frame may declare: allocations stay under the target's limits
constexpr size_t kMostBytes = size_t{1} << 20;

struct Unpacked {
  std::string text, error;
};

Unpacked read_all(std::string_view packed, const std::string& name, size_t step) {
  Unpacked all;
  std::string piece(step, '\0');
  try {
    const auto stream = detail::unpack(detail::stream_of(packed), name, kWindowLog);
    while (all.text.size() < kMostBytes) {
      const size_t got = stream->read(piece.data(), std::min(step, kMostBytes - all.text.size()));
      expect(got <= step, "no more bytes than asked for");
      if (got == 0) break;
      all.text.append(piece, 0, got);
    }
    expect(stream->consumed() <= static_cast<int64_t>(packed.size()), "no more consumed than there is");
  } catch (const DataError& e) { all.error = e.what(); }
  return all;
}

}  // namespace
}  // namespace winnow

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace winnow;
  if (size == 0) return 0;
  const std::string name = (data[0] & 1) != 0 ? "fuzzed.zst" : "fuzzed.gz";
  const std::string_view packed(reinterpret_cast<const char*>(data + 1), size - 1);
  const Unpacked large = read_all(packed, name, size_t{64} << 10),
                 small = read_all(packed, name, 1 + size_t{data[0]} * 8);
  expect(large.error.empty() == small.error.empty(), "an error or none, whatever the reads");
  expect(!large.error.empty() || large.text == small.text, "the same bytes, whatever the reads");
  return 0;
}
