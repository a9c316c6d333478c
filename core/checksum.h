// CRC-32C (Castagnoli polynomial, RFC 3720 appendix B.4): finds every change of up to 32 neighbouring bits.
#pragma once
#include <cstddef>
#include <cstdint>

namespace winnow {

// The checksum of data; pass the result of an earlier call as `before` to continue it over more bytes.
uint32_t crc32c(const void* data, size_t bytes, uint32_t before = 0);

}  // namespace winnow
