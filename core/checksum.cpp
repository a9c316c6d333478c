#include "core/checksum.h"

#include <immintrin.h>

#include <array>
#include <cstring>

namespace winnow {
namespace {

// Three streams hide the latency of the crc32 instruction (three cycles, one issued each). Their results are joined by
// advancing a checksum over kStream zero bytes, which is linear over GF(2) and so a table lookup per byte.
constexpr size_t kStream = 4096;

using Matrix = std::array<uint32_t, 32>;  // column i: the image of bit i

constexpr uint32_t apply_matrix(const Matrix& m, uint32_t v) {
  uint32_t out = 0;
  for (size_t i = 0; i < 32; ++i)
    if ((v >> i) & 1u) out ^= m[i];
  return out;
}

struct ZerosTable {
  std::array<std::array<uint32_t, 256>, 4> lookup{};
  constexpr ZerosTable() {
    Matrix step{};  // one zero bit in the reflected representation
    step[0] = 0x82f63b78u;
    for (size_t i = 1; i < 32; ++i) step[i] = 1u << (i - 1);
    for (size_t bits = 1; bits < kStream * 8; bits *= 2) {  // squaring: kStream * 8 is a power of two
      Matrix squared{};
      for (size_t i = 0; i < 32; ++i) squared[i] = apply_matrix(step, step[i]);
      step = squared;
    }
    for (size_t byte = 0; byte < 4; ++byte)
      for (uint32_t v = 0; v < 256; ++v) lookup[byte][v] = apply_matrix(step, v << (8 * byte));
  }
  uint32_t advance(uint32_t crc) const {
    return lookup[0][crc & 255] ^ lookup[1][(crc >> 8) & 255] ^ lookup[2][(crc >> 16) & 255] ^ lookup[3][crc >> 24];
  }
};
constexpr ZerosTable kZeros;

uint64_t load(const unsigned char* p) {
  uint64_t word;
  std::memcpy(&word, p, sizeof(word));
  return word;
}

}  // namespace

uint32_t crc32c(const void* data, size_t bytes, uint32_t before) {
  const auto* p = static_cast<const unsigned char*>(data);
  uint64_t crc = ~before;
  for (; bytes >= 3 * kStream; bytes -= 3 * kStream, p += 3 * kStream) {
    uint64_t second = 0, third = 0;
    for (size_t i = 0; i < kStream; i += 8) {
      crc = _mm_crc32_u64(crc, load(p + i));
      second = _mm_crc32_u64(second, load(p + kStream + i));
      third = _mm_crc32_u64(third, load(p + 2 * kStream + i));
    }
    crc = kZeros.advance(static_cast<uint32_t>(crc)) ^ second;
    crc = kZeros.advance(static_cast<uint32_t>(crc)) ^ third;
  }
  for (; bytes >= 8; bytes -= 8, p += 8) crc = _mm_crc32_u64(crc, load(p));
  auto tail = static_cast<uint32_t>(crc);
  for (; bytes > 0; --bytes, ++p) tail = _mm_crc32_u8(tail, *p);
  return ~tail;
}

}  // namespace winnow
