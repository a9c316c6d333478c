#include "data/image.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "core/error.h"
#include "core/file.h"
#include "core/text.h"
#include "data/detail/image_formats.h"

namespace winnow {
namespace detail {
namespace {

// The header of a binary PPM or PGM: three numbers, each after blanks and comments, then one blank.
std::optional<int64_t> header_number(std::string_view& text) {
  const auto blank = [](char c) { return c == ' ' || (c >= '\t' && c <= '\r'); };
  while (!text.empty() && (blank(text[0]) || text[0] == '#')) {
    if (text[0] == '#')
      text.remove_prefix(std::min(text.find('\n'), text.size()));
    else
      text.remove_prefix(1);
  }
  int64_t n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc{} || n < 0) return {};
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return n;
}

}  // namespace

void decode_ppm(std::string_view file, const ImageLimits& limits, std::vector<float>& out) {
  const size_t channels = file[1] == '6' ? 3 : 1;
  std::string_view rest = file.substr(2);
  const auto width = header_number(rest), height = width ? header_number(rest) : std::nullopt,
             most = height ? header_number(rest) : std::nullopt;
  if (!most || *most < 1 || *most > 65535 || rest.empty()) limits.fail("a damaged PPM header");
  limits.check(*width, *height);
  rest.remove_prefix(1);
  const size_t bytes = *most > 255 ? 2 : 1;
  const auto row = static_cast<size_t>(*width) * channels * bytes;
  if (rest.size() / row < static_cast<size_t>(*height)) limits.fail("the file ends before the last row of pixels");
  AreaMean mean(*width, *height, limits.size);
  for (int64_t y = 0; y < *height; ++y)
    for (int64_t x = 0; x < *width; ++x) {
      const size_t at = static_cast<size_t>(y) * row + static_cast<size_t>(x) * channels * bytes;
      uint8_t rgb[3];
      for (size_t c = 0; c < 3; ++c) {
        const size_t k = at + std::min(c, channels - 1) * bytes;
        int64_t v = static_cast<uint8_t>(rest[k]);
        if (bytes == 2) v = v << 8 | static_cast<uint8_t>(rest[k + 1]);
        rgb[c] = static_cast<uint8_t>((std::min(v, *most) * 255 + *most / 2) / *most);
      }
      mean.add(x, y, rgb);
    }
  mean.append(out);
}

void ImageLimits::fail(const std::string& what) const { raise<DataError>("{}: {}", name, what); }

void ImageLimits::check(int64_t width, int64_t height) const {
  constexpr int64_t kMostSide = 65535;  // a row of pixels stays small whatever a header claims
  if (width < 1 || height < 1 || width > kMostSide || height > kMostSide || width * height > max_pixels)
    fail(fmt::format("{} x {} pixels; up to {} are read, and {} a side", width, height, max_pixels, kMostSide));
}

}  // namespace detail

void decode_image(std::span<const std::byte> file, int64_t size, const std::string& name, std::vector<float>& out,
                  int64_t max_pixels) {
  const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
  const detail::ImageLimits limits{name, size, max_pixels};
  if (text.starts_with("\x89PNG")) return detail::decode_png(text, limits, out);
  if (text.starts_with("\xFF\xD8")) return detail::decode_jpeg(text, limits, out);
  if (text.starts_with("P6") || text.starts_with("P5")) return detail::decode_ppm(text, limits, out);
  limits.fail("is not a PNG, JPEG or binary PPM file");
}

void read_image(const std::string& folder, std::string_view path, int64_t size, std::vector<float>& out) {
  const auto refuse = [&](const char* what) { raise<DataError>("image {}: {}", quoted(path), what); };
  if (path.starts_with('/')) refuse("an absolute path; give it relative to the folder of the table");
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    if (path.substr(begin, end - begin) == "..") refuse("the path leaves the folder of the table");
    begin = end + 1;
  }
  if (path.find('\0') != std::string_view::npos) refuse("the path holds a NUL byte");
  const std::string full = folder.empty() ? std::string(path) : folder + "/" + std::string(path);
  try {
    const MappedFile file(full);
    decode_image(file.bytes(), size, full, out);
  } catch (const IoError& e) { raise<DataError>("{}", e.what()); }
}

}  // namespace winnow
