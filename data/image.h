// Pictures as a few numbers: PNG, JPEG or binary PPM/PGM files averaged down to a small square.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace winnow {

constexpr int64_t kMaxImagePixels = int64_t{64} << 20;

// Appends the picture as [size, size, 3] floats, row by row from the top, red green blue in [0, 1]:
//   out[i, j, c] = mean of channel c over the rectangle [j w / size, (j + 1) w / size) x [i h / size, (i + 1) h / size)
// of the w x h picture, pixels on its edge counted by their share; computed exactly and rounded once. Transparent parts
// lie on white, 16-bit channels are cut to 8, orientation and colour profiles of the file are not applied.
// Memory beside the file and the result: some rows of pixels; progressive JPEG: 6 bytes a pixel.
// DataError "name: ...": another format, a damaged or truncated file, CMYK, more than max_pixels pixels or 65535 a
// side.
void decode_image(std::span<const std::byte> file, int64_t size, const std::string& name, std::vector<float>& out,
                  int64_t max_pixels = kMaxImagePixels);

// The file folder/path. DataError also for a path that is absolute or holds "..", and for a file that cannot be read:
// a path comes out of a table or a request.
void read_image(const std::string& folder, std::string_view path, int64_t size, std::vector<float>& out);

}  // namespace winnow
