#include "data/detail/byte_stream.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "core/error.h"

namespace winnow::detail {
namespace {

constexpr size_t kPackedBytes = size_t{64} << 10;

class FileStream final : public ByteStream {
 public:
  explicit FileStream(std::string path) : path_(std::move(path)) {
    descriptor_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor_ < 0) fail("cannot be opened");
    struct stat status {};
    if (::fstat(descriptor_, &status) == 0 && S_ISDIR(status.st_mode)) {
      ::close(descriptor_);
      raise<IoError>("{}: is a directory", path_);
    }
    ::posix_fadvise(descriptor_, 0, 0, POSIX_FADV_SEQUENTIAL);
  }
  ~FileStream() override { ::close(descriptor_); }
  FileStream(const FileStream&) = delete;
  FileStream& operator=(const FileStream&) = delete;

  size_t read(char* to, size_t bytes) override {
    for (;;) {
      const ssize_t got = ::read(descriptor_, to, bytes);
      if (got >= 0) {
        consumed_ += got;
        return static_cast<size_t>(got);
      }
      if (errno != EINTR) fail("cannot be read");
    }
  }
  int64_t consumed() const override { return consumed_; }

 private:
  [[noreturn]] void fail(const char* what) const { raise<IoError>("{}: {}: {}", path_, what, std::strerror(errno)); }
  std::string path_;
  int descriptor_ = -1;
  int64_t consumed_ = 0;
};

class TextStream final : public ByteStream {
 public:
  explicit TextStream(std::string_view text) : text_(text) {}
  size_t read(char* to, size_t bytes) override {
    const size_t n = std::min(bytes, text_.size() - at_);
    std::copy_n(text_.data() + at_, n, to);
    at_ += n;
    return n;
  }
  int64_t consumed() const override { return static_cast<int64_t>(at_); }

 private:
  std::string_view text_;
  size_t at_ = 0;
};

// What both decompressors share: packed bytes come in pieces, and the end of the file must be the end of a member.
class PackedStream : public ByteStream {
 public:
  PackedStream(std::unique_ptr<ByteStream> packed, std::string file)
      : packed_(std::move(packed)), file_(std::move(file)), input_(kPackedBytes) {}
  int64_t consumed() const override { return packed_->consumed(); }

 protected:
  // More input when the last is used up; false at the end of the file.
  bool refill() {
    if (begin_ < end_) return true;
    begin_ = 0;
    end_ = packed_->read(input_.data(), input_.size());
    return end_ > 0;
  }
  [[noreturn]] void fail(const std::string& what) const {
    raise<DataError>("{}: {} (near byte {} of the file)", file_, what,
                     packed_->consumed() - static_cast<int64_t>(end_ - begin_));
  }
  std::unique_ptr<ByteStream> packed_;
  std::string file_;
  std::vector<char> input_;
  size_t begin_ = 0, end_ = 0;
};

class GzipStream final : public PackedStream {
 public:
  using PackedStream::PackedStream;
  ~GzipStream() override { inflateEnd(&z_); }
  GzipStream(const GzipStream&) = delete;
  GzipStream& operator=(const GzipStream&) = delete;

  size_t read(char* to, size_t bytes) override {
    z_.next_out = reinterpret_cast<Bytef*>(to);
    z_.avail_out = static_cast<uInt>(std::min(bytes, size_t{1} << 30));
    const uInt wanted = z_.avail_out;
    while (z_.avail_out == wanted) {
      if (!refill()) {
        if (inside_ || !started_) fail("the gzip data ends in the middle; the file is cut off");
        return 0;
      }
      if (!inside_) begin_member();
      z_.next_in = reinterpret_cast<Bytef*>(input_.data() + begin_);
      z_.avail_in = static_cast<uInt>(end_ - begin_);
      const int result = inflate(&z_, Z_NO_FLUSH);
      begin_ = end_ - z_.avail_in;
      if (result == Z_STREAM_END)
        inside_ = false;
      else if (result != Z_OK && result != Z_BUF_ERROR)
        fail(fmt::format("broken gzip data: {}", z_.msg != nullptr ? z_.msg : "unknown"));
    }
    return wanted - z_.avail_out;
  }

 private:
  void begin_member() {
    const int result = started_ ? inflateReset(&z_) : inflateInit2(&z_, 15 + 16);
    WN_CHECK(result == Z_OK, OutOfMemory, "{}: no memory for the gzip window", file_);
    started_ = inside_ = true;
  }
  z_stream z_ = {};
  bool started_ = false, inside_ = false;
};

class ZstdStream final : public PackedStream {
 public:
  ZstdStream(std::unique_ptr<ByteStream> packed, std::string file, int max_window_log)
      : PackedStream(std::move(packed), std::move(file)) {
    WN_CHECK(context_ != nullptr, OutOfMemory, "{}: no memory for the zstd window", file_);
    ZSTD_DCtx_setParameter(context_, ZSTD_d_windowLogMax, max_window_log);
  }
  ~ZstdStream() override { ZSTD_freeDCtx(context_); }
  ZstdStream(const ZstdStream&) = delete;
  ZstdStream& operator=(const ZstdStream&) = delete;

  // By way of a buffer of its own: what the library checks of a frame depends on the room it is given, and whether a
  // file is broken must not depend on the caller's reads.
  size_t read(char* to, size_t bytes) override {
    if (at_ == filled_ && !fill()) return 0;
    const size_t n = std::min(bytes, filled_ - at_);
    std::memcpy(to, output_.data() + at_, n);
    at_ += n;
    return n;
  }

 private:
  bool fill() {
    ZSTD_outBuffer out{output_.data(), output_.size(), 0};
    while (out.pos == 0) {
      // a full output buffer may have left more inside the context: only a call without output asks for input
      if (!flushing_ && !refill()) {
        if (inside_ || !started_) fail("the zstd data ends in the middle; the file is cut off");
        return false;
      }
      ZSTD_inBuffer in{input_.data(), end_, begin_};
      const size_t result = ZSTD_decompressStream(context_, &out, &in);
      if (ZSTD_isError(result)) fail(fmt::format("broken zstd data: {}", ZSTD_getErrorName(result)));
      begin_ = in.pos;
      started_ = true;
      inside_ = result != 0;
      flushing_ = out.pos == out.size && inside_;
    }
    at_ = 0;
    filled_ = out.pos;
    return true;
  }

  ZSTD_DCtx* context_ = ZSTD_createDCtx();
  std::vector<char> output_ = std::vector<char>(ZSTD_DStreamOutSize());
  size_t at_ = 0, filled_ = 0;
  bool started_ = false, inside_ = false, flushing_ = false;
};

}  // namespace

std::unique_ptr<ByteStream> unpack(std::unique_ptr<ByteStream> packed, const std::string& file, int max_window_log) {
  if (file.ends_with(".gz")) return std::make_unique<GzipStream>(std::move(packed), file);
  if (file.ends_with(".zst")) return std::make_unique<ZstdStream>(std::move(packed), file, max_window_log);
  return packed;
}

std::unique_ptr<ByteStream> open_stream(const std::string& path) {
  return unpack(std::make_unique<FileStream>(path), path);
}

std::unique_ptr<ByteStream> stream_of(std::string_view text) { return std::make_unique<TextStream>(text); }

}  // namespace winnow::detail
