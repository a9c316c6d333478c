#include "data/png.h"

#include <zlib.h>

#include <vector>

#include "core/error.h"

namespace winnow {
namespace {

void append_be(std::string& to, uint32_t x) {
  for (int shift = 24; shift >= 0; shift -= 8) to += static_cast<char>(x >> shift);
}

void append_chunk(std::string& to, std::string_view type, std::string_view data) {
  append_be(to, static_cast<uint32_t>(data.size()));
  const size_t begin = to.size();
  to += type;
  to += data;
  const auto* bytes = reinterpret_cast<const Bytef*>(to.data() + begin);
  append_be(to, static_cast<uint32_t>(::crc32(0, bytes, static_cast<uInt>(to.size() - begin))));
}

}  // namespace

std::string encode_png(uint32_t width, uint32_t height, std::span<const uint8_t> rgb) {
  WN_CHECK(width > 0 && height > 0 && rgb.size() == size_t{3} * width * height, DataError,
           "encode_png: {} bytes for {} x {} pixels of 3", rgb.size(), width, height);
  std::vector<Bytef> rows;
  for (size_t y = 0; y < height; ++y) {
    rows.push_back(0);  // filter: none
    const auto row = rgb.subspan(3 * width * y, size_t{3} * width);
    rows.insert(rows.end(), row.begin(), row.end());
  }
  uLongf size = ::compressBound(rows.size());
  std::string packed(size, '\0');
  const int error = ::compress2(reinterpret_cast<Bytef*>(packed.data()), &size, rows.data(), rows.size(), 9);
  WN_CHECK(error == Z_OK, DataError, "encode_png: zlib: error {}", error);
  packed.resize(size);

  std::string png = "\x89PNG\r\n\x1a\n", header;
  append_be(header, width);
  append_be(header, height);
  header += std::string_view("\x08\x02\0\0\0", 5);  // 8 bits, RGB, deflate, adaptive filters, not interlaced
  append_chunk(png, "IHDR", header);
  append_chunk(png, "IDAT", packed);
  append_chunk(png, "IEND", "");
  return png;
}

}  // namespace winnow
