#include <png.h>

#include <array>
#include <cstring>

#include "data/detail/image_formats.h"

namespace winnow::detail {
namespace {

// libpng reports errors by a long jump. It lands in run(), whose frame and those below it hold nothing with a
// destructor; what was learnt is in members.
class PngDecoder {
 public:
  PngDecoder(std::string_view file, const ImageLimits& limits) : rest_(file), limits_(limits) {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, on_error, on_warning);
    info_ = png_ != nullptr ? png_create_info_struct(png_) : nullptr;
    if (info_ == nullptr) limits.fail("no memory for the PNG decoder");
  }
  ~PngDecoder() { png_destroy_read_struct(&png_, &info_, nullptr); }
  PngDecoder(const PngDecoder&) = delete;
  PngDecoder& operator=(const PngDecoder&) = delete;

  void decode(std::vector<float>& out) {
    if (!run(&PngDecoder::read_header)) limits_.fail(message_.data());
    limits_.check(width_, height_);
    row_.resize(static_cast<size_t>(width_) * 4);
    AreaMean mean(width_, height_, limits_.size);
    mean_ = &mean;
    if (!run(&PngDecoder::read_rows)) limits_.fail(message_.data());
    mean.append(out);
  }

 private:
  bool run(void (PngDecoder::*step)()) {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    (this->*step)();
    return true;
  }

  void read_header() {
    png_set_read_fn(png_, this, on_read);
    png_set_user_limits(png_, 1 << 26, 1 << 26);
    png_set_chunk_malloc_max(png_, 1 << 16);
    png_set_chunk_cache_max(png_, 16);
    png_set_keep_unknown_chunks(png_, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);  // text, profiles: skipped, not unpacked
    png_read_info(png_, info_);
    width_ = png_get_image_width(png_, info_);
    height_ = png_get_image_height(png_, info_);
  }

  // Rows of RGBA. An interlaced picture comes as seven passes over sparse rows, each summed as it comes.
  void read_rows() {
    png_set_expand(png_);
    png_set_scale_16(png_);
    png_set_gray_to_rgb(png_);
    png_set_add_alpha(png_, 0xff, PNG_FILLER_AFTER);
    const bool interlaced = png_get_interlace_type(png_, info_) != PNG_INTERLACE_NONE;
    png_read_update_info(png_, info_);
    for (int pass = 0; pass < (interlaced ? PNG_INTERLACE_ADAM7_PASSES : 1); ++pass) {
      const auto w = static_cast<png_uint_32>(width_), h = static_cast<png_uint_32>(height_);
      const png_uint_32 columns = interlaced ? PNG_PASS_COLS(w, pass) : w,
                        rows = interlaced ? PNG_PASS_ROWS(h, pass) : h;
      if (columns == 0) continue;
      for (png_uint_32 r = 0; r < rows; ++r) {
        png_read_row(png_, row_.data(), nullptr);
        add_row(interlaced ? PNG_ROW_FROM_PASS_ROW(r, pass) : r, columns, pass, interlaced);
      }
    }
    png_read_end(png_, nullptr);
  }

  void add_row(png_uint_32 y, png_uint_32 columns, int pass, bool interlaced) {
    for (png_uint_32 k = 0; k < columns; ++k) {
      const uint8_t* p = row_.data() + size_t{k} * 4;
      const unsigned alpha = p[3];
      uint8_t rgb[3];
      for (int c = 0; c < 3; ++c) rgb[c] = static_cast<uint8_t>((p[c] * alpha + 255 * (255 - alpha) + 127) / 255);
      mean_->add(interlaced ? PNG_COL_FROM_PASS_COL(k, pass) : k, y, rgb);
    }
  }

  [[noreturn]] static void on_error(png_structp png, png_const_charp text) {
    auto* self = static_cast<PngDecoder*>(png_get_error_ptr(png));
    std::strncpy(self->message_.data(), text, self->message_.size() - 1);
    png_longjmp(png, 1);
  }
  static void on_warning(png_structp, png_const_charp) {}
  static void on_read(png_structp png, png_bytep to, size_t bytes) {
    auto* self = static_cast<PngDecoder*>(png_get_io_ptr(png));
    if (bytes > self->rest_.size()) png_error(png, "the PNG file ends too early");
    std::memcpy(to, self->rest_.data(), bytes);
    self->rest_.remove_prefix(bytes);
  }

  std::string_view rest_;
  const ImageLimits& limits_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  int64_t width_ = 0, height_ = 0;
  std::vector<uint8_t> row_;
  AreaMean* mean_ = nullptr;
  std::array<char, 120> message_{};
};

}  // namespace

void decode_png(std::string_view file, const ImageLimits& limits, std::vector<float>& out) {
  PngDecoder(file, limits).decode(out);
}

}  // namespace winnow::detail
