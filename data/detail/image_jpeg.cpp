#include <csetjmp>
#include <cstdio>
// jpeglib.h needs size_t and FILE before it
#include <jerror.h>
#include <jpeglib.h>

#include <array>

#include "data/detail/image_formats.h"

namespace winnow::detail {
namespace {

constexpr int kMaxScans = 200;  // a progressive file may repeat tiny scans over a large picture for ever

// As PngDecoder: errors jump to run().
class JpegDecoder {
 public:
  JpegDecoder(std::string_view file, const ImageLimits& limits) : limits_(limits) {
    decoder_.err = jpeg_std_error(&errors_);
    errors_.error_exit = on_error;
    errors_.emit_message = on_message;
    decoder_.client_data = this;
    progress_.progress_monitor = on_progress;
    file_ = file;
    if (!run(&JpegDecoder::create)) limits.fail(message_.data());
  }
  ~JpegDecoder() { jpeg_destroy_decompress(&decoder_); }
  JpegDecoder(const JpegDecoder&) = delete;
  JpegDecoder& operator=(const JpegDecoder&) = delete;

  void decode(std::vector<float>& out) {
    if (!run(&JpegDecoder::read_header)) limits_.fail(message_.data());
    limits_.check(decoder_.image_width, decoder_.image_height);
    row_.resize(size_t{decoder_.image_width} * 3);
    AreaMean mean(decoder_.image_width, decoder_.image_height, limits_.size);
    mean_ = &mean;
    if (!run(&JpegDecoder::read_rows)) limits_.fail(message_.data());
    mean.append(out);
  }

 private:
  bool run(void (JpegDecoder::*step)()) {
    if (setjmp(jump_) != 0) return false;
    (this->*step)();
    return true;
  }

  void create() {
    jpeg_create_decompress(&decoder_);
    decoder_.progress = &progress_;
    jpeg_mem_src(&decoder_, reinterpret_cast<const unsigned char*>(file_.data()), file_.size());
  }
  void read_header() { jpeg_read_header(&decoder_, TRUE); }
  void read_rows() {
    decoder_.out_color_space = JCS_RGB;
    decoder_.dct_method = JDCT_ISLOW;
    jpeg_start_decompress(&decoder_);
    while (decoder_.output_scanline < decoder_.output_height) {
      const int64_t y = decoder_.output_scanline;
      JSAMPROW row = row_.data();
      if (jpeg_read_scanlines(&decoder_, &row, 1) != 1) continue;
      for (int64_t x = 0; x < static_cast<int64_t>(decoder_.output_width); ++x) mean_->add(x, y, row_.data() + 3 * x);
    }
    jpeg_finish_decompress(&decoder_);
  }

  [[noreturn]] static void stop(j_common_ptr info) {
    auto* self = static_cast<JpegDecoder*>(info->client_data);
    std::array<char, JMSG_LENGTH_MAX> text{};
    info->err->format_message(info, text.data());
    std::snprintf(self->message_.data(), self->message_.size(), "a damaged JPEG file: %.100s", text.data());
    std::longjmp(self->jump_, 1);
  }
  [[noreturn]] static void on_error(j_common_ptr info) { stop(info); }
  // Warnings go on with grey pixels; those about a file that ends or breaks off are errors here.
  static void on_message(j_common_ptr info, int level) {
    const int code = info->err->msg_code;
    if (level < 0 && (code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER || code == JWRN_HUFF_BAD_CODE)) stop(info);
  }
  static void on_progress(j_common_ptr info) {
    auto* self = static_cast<JpegDecoder*>(info->client_data);
    if (self->decoder_.input_scan_number <= kMaxScans) return;
    std::snprintf(self->message_.data(), self->message_.size(), "a JPEG file of more than %d scans", kMaxScans);
    std::longjmp(self->jump_, 1);
  }

  const ImageLimits& limits_;
  std::string_view file_;
  jpeg_decompress_struct decoder_{};
  jpeg_error_mgr errors_{};
  jpeg_progress_mgr progress_{};
  std::jmp_buf jump_;
  std::vector<uint8_t> row_;
  AreaMean* mean_ = nullptr;
  std::array<char, 160> message_{};
};

}  // namespace

void decode_jpeg(std::string_view file, const ImageLimits& limits, std::vector<float>& out) {
  JpegDecoder(file, limits).decode(out);
}

}  // namespace winnow::detail
