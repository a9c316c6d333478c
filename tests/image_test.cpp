// Pictures: averages equal the definition in every format and order of pixels; broken files are refused with their
// name.
#include <png.h>

#include <cstdio>
// jpeglib.h needs FILE before it
#include <jpeglib.h>

#include <algorithm>
#include <random>

#include "core/error.h"
#include "data/image.h"
#include "tests/data_files.h"

namespace winnow {
namespace {

struct Picture {
  int64_t width, height;
  std::vector<uint8_t> rgb;
};

Picture noise(int64_t width, int64_t height, unsigned seed) {
  std::mt19937 random(seed);
  Picture p{width, height, std::vector<uint8_t>(static_cast<size_t>(width * height * 3))};
  for (uint8_t& x : p.rgb) x = static_cast<uint8_t>(random());
  return p;
}

// The definition: every pixel's overlap with every rectangle, in double.
std::vector<float> averaged(const Picture& p, int64_t size) {
  std::vector<float> out;
  const double w = static_cast<double>(p.width) / static_cast<double>(size),
               h = static_cast<double>(p.height) / static_cast<double>(size);
  const auto overlap = [](int64_t pixel, double begin, double end) {
    return std::max(0.0, std::min(static_cast<double>(pixel + 1), end) - std::max(static_cast<double>(pixel), begin));
  };
  for (int64_t i = 0; i < size; ++i)
    for (int64_t j = 0; j < size; ++j)
      for (int64_t c = 0; c < 3; ++c) {
        double sum = 0;
        for (int64_t y = 0; y < p.height; ++y)
          for (int64_t x = 0; x < p.width; ++x)
            sum += overlap(y, static_cast<double>(i) * h, static_cast<double>(i + 1) * h) *
                   overlap(x, static_cast<double>(j) * w, static_cast<double>(j + 1) * w) *
                   p.rgb[static_cast<size_t>((y * p.width + x) * 3 + c)];
        out.push_back(static_cast<float>(sum / (w * h * 255)));
      }
  return out;
}

std::vector<float> decoded(const std::string& file, int64_t size, int64_t max_pixels = kMaxImagePixels) {
  std::vector<float> out;
  decode_image(std::as_bytes(std::span(file)), size, "x", out, max_pixels);
  return out;
}

std::string png_of(const Picture& p, int interlace) {
  std::string file;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  png_set_write_fn(
      png, &file,
      [](png_structp to, png_bytep data, size_t n) {
        static_cast<std::string*>(png_get_io_ptr(to))->append(reinterpret_cast<char*>(data), n);
      },
      nullptr);
  png_set_IHDR(png, info, static_cast<png_uint_32>(p.width), static_cast<png_uint_32>(p.height), 8, PNG_COLOR_TYPE_RGB,
               interlace, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  std::vector<uint8_t> rgb = p.rgb;
  std::vector<png_bytep> rows;
  for (int64_t y = 0; y < p.height; ++y) rows.push_back(rgb.data() + y * p.width * 3);
  png_set_rows(png, info, rows.data());
  png_write_png(png, info, PNG_TRANSFORM_IDENTITY, nullptr);
  png_destroy_write_struct(&png, &info);
  return file;
}

std::string jpeg_of(const Picture& p, bool progressive) {
  jpeg_compress_struct c{};
  jpeg_error_mgr errors{};
  c.err = jpeg_std_error(&errors);
  jpeg_create_compress(&c);
  unsigned char* memory = nullptr;
  unsigned long bytes = 0;
  jpeg_mem_dest(&c, &memory, &bytes);
  c.image_width = static_cast<JDIMENSION>(p.width);
  c.image_height = static_cast<JDIMENSION>(p.height);
  c.input_components = 3;
  c.in_color_space = JCS_RGB;
  jpeg_set_defaults(&c);
  jpeg_set_quality(&c, 100, TRUE);
  c.comp_info[0].h_samp_factor = c.comp_info[0].v_samp_factor = 1;  // colours at full resolution
  if (progressive) jpeg_simple_progression(&c);
  jpeg_start_compress(&c, TRUE);
  std::vector<uint8_t> rgb = p.rgb;
  while (c.next_scanline < c.image_height) {
    JSAMPROW row = rgb.data() + int64_t{c.next_scanline} * p.width * 3;
    jpeg_write_scanlines(&c, &row, 1);
  }
  jpeg_finish_compress(&c);
  std::string file(reinterpret_cast<char*>(memory), bytes);
  jpeg_destroy_compress(&c);
  std::free(memory);
  return file;
}

std::string ppm_of(const Picture& p) {
  return fmt::format("P6\n# made by a test\n{} {}\n255\n", p.width, p.height) + std::string(p.rgb.begin(), p.rgb.end());
}

void expect_near(const std::vector<float>& a, const std::vector<float>& b, float most, const std::string& what) {
  ASSERT_EQ(a.size(), b.size()) << what;
  for (size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], most) << what << " at " << i;
}

TEST(Image, AveragesEqualTheDefinition) {
  unsigned seed = 0;
  for (const auto& [width, height, size] : std::initializer_list<std::tuple<int64_t, int64_t, int64_t>>{
           {16, 16, 4}, {17, 5, 4}, {1, 1, 3}, {3, 2, 7}, {33, 40, 8}, {2, 100, 1}}) {
    const Picture p = noise(width, height, ++seed);
    const std::vector<float> expected = averaged(p, size);
    const std::string what = fmt::format("{} x {} to {}", width, height, size);
    expect_near(decoded(png_of(p, PNG_INTERLACE_NONE), size), expected, 1e-6f, "png " + what);
    EXPECT_EQ(decoded(png_of(p, PNG_INTERLACE_ADAM7), size), decoded(png_of(p, PNG_INTERLACE_NONE), size)) << what;
    EXPECT_EQ(decoded(ppm_of(p), size), decoded(png_of(p, PNG_INTERLACE_NONE), size)) << what;
    expect_near(decoded(jpeg_of(p, false), size), expected, 0.03f, "jpeg " + what);
    EXPECT_EQ(decoded(jpeg_of(p, true), size), decoded(jpeg_of(p, false), size)) << "progressive " << what;
  }
}

TEST(Image, GrayAndSixteenBitsArePossible) {
  EXPECT_EQ(decoded("P5 1 1 255\n\x80", 1), std::vector<float>(3, 128 / 255.f));
  EXPECT_EQ(decoded(std::string("P5 2 1 1000\n\x01\xF4\x01\xF4", 16), 1), std::vector<float>(3, 128 / 255.f));
}

TEST(Image, BrokenFilesAreRefusedWithTheirName) {
  const Picture p = noise(40, 40, 9);
  const auto error = [](const std::string& file, int64_t max_pixels = kMaxImagePixels) {
    try {
      decoded(file, 4, max_pixels);
    } catch (const DataError& e) { return std::string(e.what()); }
    return std::string("no error");
  };
  for (const std::string& file : {png_of(p, PNG_INTERLACE_NONE), jpeg_of(p, false), jpeg_of(p, true), ppm_of(p)}) {
    EXPECT_EQ(error(file), "no error");
    for (const size_t size : {size_t{3}, size_t{20}, file.size() / 2, file.size() - 40})
      EXPECT_EQ(error(file.substr(0, size)).find("x: "), 0u) << size;
    EXPECT_EQ(error(file, 1599), "x: 40 x 40 pixels; up to 1599 are read, and 65535 a side");
  }
  EXPECT_EQ(error("GIF89a"), "x: is not a PNG, JPEG or binary PPM file");
  EXPECT_EQ(error(""), "x: is not a PNG, JPEG or binary PPM file");
  EXPECT_EQ(error("P6 4000000000 4000000000 255\n"),
            "x: 4000000000 x 4000000000 pixels; up to 67108864 are read, and 65535 a side");
  std::string flipped = png_of(p, PNG_INTERLACE_NONE);
  flipped[flipped.size() / 2] ^= 1;
  EXPECT_EQ(error(flipped).find("x: "), 0u) << "a checksum of the file";
}

TEST(Image, PathsStayInTheFolder) {
  const TemporaryDirectory folder;
  folder.write("a.ppm", "P6 1 1 255\n\xFF\x80\x01");
  std::vector<float> out;
  read_image(folder.path(), "a.ppm", 1, out);
  EXPECT_EQ(out, (std::vector<float>{1, 128 / 255.f, 1 / 255.f}));
  for (const std::string& path : {std::string("/etc/passwd"), std::string("../a.ppm"), std::string("b/../../a.ppm"),
                                  std::string("none.ppm"), std::string("."), std::string("a.ppm\0x", 7)})
    EXPECT_THROW(read_image(folder.path(), path, 1, out), DataError) << path;
  EXPECT_EQ(out.size(), 3u);
}

}  // namespace
}  // namespace winnow
