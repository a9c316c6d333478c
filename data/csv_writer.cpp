#include "data/csv_writer.h"

#include <zlib.h>
#include <zstd.h>

#include <array>

#include "core/error.h"
#include "core/file.h"
#include "core/text.h"

namespace winnow {
namespace {

constexpr size_t kBuffer = size_t{1} << 18;

bool needs_quotes(std::string_view cell, char separator) {
  for (const char c : cell)
    if (c == separator || c == '"' || c == '\n' || c == '\r') return true;
  return false;
}

}  // namespace

// The bytes on their way to the file.
class CsvWriter::Sink {
 public:
  explicit Sink(const std::string& path) : file_(path), path_(path) {}
  virtual ~Sink() = default;
  virtual void write(std::string_view text) { file_.write(text); }
  virtual void finish() { file_.commit(); }

 protected:
  AtomicFile file_;
  std::string path_;
};

namespace {

[[noreturn]] void fail_compression(const std::string& path) { raise<IoError>("{}: compression failed", path); }

}  // namespace

CsvWriter::CsvWriter(const std::string& path, const std::vector<std::string>& header)
    : path_(path), width_(header.size()) {
  class Gzip final : public Sink {
   public:
    explicit Gzip(const std::string& file) : Sink(file) {
      constexpr int kWindow = 15 + 16;  // 16: with the header of gzip
      if (deflateInit2(&z_, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kWindow, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        fail_compression(path_);
    }
    ~Gzip() override { deflateEnd(&z_); }
    void write(std::string_view text) override { run(text, Z_NO_FLUSH); }
    void finish() override {
      run({}, Z_FINISH);
      Sink::finish();
    }

   private:
    void run(std::string_view text, int flush) {
      z_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
      z_.avail_in = static_cast<uInt>(text.size());
      do {
        z_.next_out = reinterpret_cast<Bytef*>(out_.data());
        z_.avail_out = static_cast<uInt>(out_.size());
        if (deflate(&z_, flush) == Z_STREAM_ERROR) fail_compression(path_);
        file_.write(out_.data(), out_.size() - z_.avail_out);
      } while (z_.avail_out == 0);
    }
    z_stream z_ = {};
    std::array<char, 65536> out_;
  };
  class Zstd final : public Sink {
   public:
    explicit Zstd(const std::string& file) : Sink(file), context_(ZSTD_createCCtx()) {
      if (context_ == nullptr) fail_compression(path_);
      ZSTD_CCtx_setParameter(context_, ZSTD_c_checksumFlag, 1);
    }
    ~Zstd() override { ZSTD_freeCCtx(context_); }
    void write(std::string_view text) override { run(text, ZSTD_e_continue); }
    void finish() override {
      run({}, ZSTD_e_end);
      Sink::finish();
    }

   private:
    void run(std::string_view text, ZSTD_EndDirective end) {
      ZSTD_inBuffer in = {text.data(), text.size(), 0};
      for (size_t left = 1; left != 0;) {
        ZSTD_outBuffer out = {out_.data(), out_.size(), 0};
        left = ZSTD_compressStream2(context_, &out, &in, end);
        if (ZSTD_isError(left) != 0) fail_compression(path_);
        file_.write(out_.data(), out.pos);
        if (end == ZSTD_e_continue) left = in.size - in.pos;
      }
    }
    ZSTD_CCtx* context_;
    std::array<char, 65536> out_;
  };

  std::string_view name = path;
  if (name.ends_with(".gz")) {
    sink_ = std::make_unique<Gzip>(path);
    name.remove_suffix(3);
  } else if (name.ends_with(".zst")) {
    sink_ = std::make_unique<Zstd>(path);
    name.remove_suffix(4);
  } else {
    sink_ = std::make_unique<Sink>(path);
  }
  if (name.ends_with(".tsv")) separator_ = '\t';
  append(std::vector<std::string_view>(header.begin(), header.end()));
}

CsvWriter::~CsvWriter() = default;

void CsvWriter::append(std::span<const std::string_view> cells) {
  WN_CHECK(cells.size() == width_, DataError, "{}: a row of {} cells; the header has {}", path_, cells.size(), width_);
  for (size_t i = 0; i < cells.size(); ++i) {
    const std::string_view cell = cells[i];
    WN_CHECK(cell.find('\0') == std::string_view::npos, DataError, "{}: row {}: a NUL byte in {}", path_, rows_ + 1,
             quoted(cell));
    if (i > 0) buffer_ += separator_;
    if (!needs_quotes(cell, separator_) && !(cell.empty() && width_ == 1)) {
      buffer_ += cell;
      continue;
    }
    buffer_ += '"';
    for (const char c : cell) {
      if (c == '"') buffer_ += '"';
      buffer_ += c;
    }
    buffer_ += '"';
  }
  buffer_ += '\n';
  if (buffer_.size() < kBuffer) return;
  sink_->write(buffer_);
  buffer_.clear();
}

void CsvWriter::row(std::span<const std::string_view> cells) {
  append(cells);
  ++rows_;
}

void CsvWriter::commit() {
  sink_->write(buffer_);
  buffer_.clear();
  sink_->finish();
}

}  // namespace winnow
