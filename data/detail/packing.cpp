#include "data/detail/packing.h"

#include <zlib.h>
#include <zstd.h>

#include "core/error.h"
#include "core/text.h"

namespace winnow::detail {
namespace {

std::string gzip(const std::string& text) {
  z_stream stream{};
  constexpr int kGzipWindow = 15 + 16, kMemory = 8;
  WN_CHECK(::deflateInit2(&stream, 6, Z_DEFLATED, kGzipWindow, kMemory, Z_DEFAULT_STRATEGY) == Z_OK, OutOfMemory,
           "zlib: no memory to pack {} bytes", text.size());
  std::string out(::deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const int end = ::deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  ::deflateEnd(&stream);
  WN_CHECK(end == Z_STREAM_END, DataError, "zlib: {} bytes could not be packed", text.size());
  return out;
}

std::string zstd(const std::string& text) {
  std::string out(::ZSTD_compressBound(text.size()), '\0');
  const size_t size = ::ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 3);
  WN_CHECK(::ZSTD_isError(size) == 0, DataError, "zstd: {}", ::ZSTD_getErrorName(size));
  out.resize(size);
  return out;
}

}  // namespace

Packing packing_of(std::string_view format) {
  if (format == "csv") return Packing::None;
  if (format == "csv.gz") return Packing::Gzip;
  WN_CHECK(format == "csv.zst", ConfigError, "format {}; known: csv, csv.gz, csv.zst", quoted(format));
  return Packing::Zstd;
}

std::string packed(std::string text, Packing packing) {
  switch (packing) {
    case Packing::Gzip: return gzip(text);
    case Packing::Zstd: return zstd(text);
    case Packing::None: break;
  }
  return text;
}

}  // namespace winnow::detail
