// The bytes of a file in order, decompressed: larger than memory, one reader.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace winnow::detail {

class ByteStream {
 public:
  virtual ~ByteStream() = default;
  // Up to `bytes` bytes, at least one; 0 at the end. IoError: the file cannot be read. DataError: it is not what its
  // ending says, or ends in the middle.
  virtual size_t read(char* to, size_t bytes) = 0;
  virtual int64_t consumed() const = 0;  // bytes of the file itself
};

constexpr int kMaxWindowLog = 27;  // of Zstandard: 128 MiB, what the zstd tool accepts without being told

// By the ending of the name: gzip (.gz, any number of members), Zstandard (.zst, any number of frames, windows up to
// 2^max_window_log bytes, which are allocated as a frame declares them), plain. `file` is the name in messages.
std::unique_ptr<ByteStream> open_stream(const std::string& path);
std::unique_ptr<ByteStream> unpack(std::unique_ptr<ByteStream> packed, const std::string& file,
                                   int max_window_log = kMaxWindowLog);
std::unique_ptr<ByteStream> stream_of(std::string_view text);  // which the caller keeps alive

}  // namespace winnow::detail
