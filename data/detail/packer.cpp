#include <zlib.h>
#include <zstd.h>

#include "core/error.h"
#include "data/detail/line_writer.h"

namespace winnow::detail {
namespace {

constexpr size_t kPiece = size_t{64} << 10;
constexpr int kGzipLevel = 6, kZstdLevel = 3;

class PlainPacker final : public Packer {
 public:
  void add(std::string_view text, std::string& out) override { out += text; }
  void end_frame(std::string&) override {}
};

class GzipPacker final : public Packer {
 public:
  GzipPacker() {
    // 16: with gzip's header, whose time is 0, so that equal texts make equal files
    const int result = deflateInit2(&z_, kGzipLevel, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
    WN_CHECK(result == Z_OK, OutOfMemory, "no memory for gzip");
  }
  ~GzipPacker() override { deflateEnd(&z_); }
  GzipPacker(const GzipPacker&) = delete;
  GzipPacker& operator=(const GzipPacker&) = delete;

  void add(std::string_view text, std::string& out) override { run(text, Z_NO_FLUSH, out); }
  void end_frame(std::string& out) override {
    run({}, Z_FINISH, out);
    deflateReset(&z_);
  }

 private:
  void run(std::string_view text, int flush, std::string& out) {
    z_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
    z_.avail_in = static_cast<uInt>(text.size());
    do {
      const size_t before = out.size();
      out.resize(before + kPiece);
      z_.next_out = reinterpret_cast<Bytef*>(out.data() + before);
      z_.avail_out = static_cast<uInt>(kPiece);
      deflate(&z_, flush);
      out.resize(before + kPiece - z_.avail_out);
    } while (z_.avail_out == 0);
  }
  z_stream z_ = {};
};

class ZstdPacker final : public Packer {
 public:
  ZstdPacker() {
    WN_CHECK(context_ != nullptr, OutOfMemory, "no memory for zstd");
    ZSTD_CCtx_setParameter(context_, ZSTD_c_compressionLevel, kZstdLevel);
    ZSTD_CCtx_setParameter(context_, ZSTD_c_checksumFlag, 1);
  }
  ~ZstdPacker() override { ZSTD_freeCCtx(context_); }
  ZstdPacker(const ZstdPacker&) = delete;
  ZstdPacker& operator=(const ZstdPacker&) = delete;

  void add(std::string_view text, std::string& out) override { run(text, ZSTD_e_continue, out); }
  void end_frame(std::string& out) override { run({}, ZSTD_e_end, out); }

 private:
  void run(std::string_view text, ZSTD_EndDirective directive, std::string& out) {
    ZSTD_inBuffer in{text.data(), text.size(), 0};
    for (bool more = true; more;) {
      const size_t before = out.size();
      out.resize(before + kPiece);
      ZSTD_outBuffer to{out.data() + before, kPiece, 0};
      const size_t left = ZSTD_compressStream2(context_, &to, &in, directive);
      WN_CHECK(!ZSTD_isError(left), IoError, "zstd: {}", ZSTD_getErrorName(left));
      out.resize(before + to.pos);
      more = directive == ZSTD_e_end ? left != 0 : in.pos < in.size;
    }
  }
  ZSTD_CCtx* context_ = ZSTD_createCCtx();
};

}  // namespace

std::unique_ptr<Packer> make_packer(const std::string& path) {
  if (path.ends_with(".gz")) return std::make_unique<GzipPacker>();
  if (path.ends_with(".zst")) return std::make_unique<ZstdPacker>();
  return std::make_unique<PlainPacker>();
}

}  // namespace winnow::detail
