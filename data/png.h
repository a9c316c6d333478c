// A writer of small pictures: PNG (ISO/IEC 15948), 8-bit RGB, one IDAT chunk, every row unfiltered.
#pragma once
#include <cstdint>
#include <span>
#include <string>

namespace winnow {

// rgb: [height, width, 3]. The pixels are what was given; the bytes may differ between versions of zlib.
std::string encode_png(uint32_t width, uint32_t height, std::span<const uint8_t> rgb);

}  // namespace winnow
