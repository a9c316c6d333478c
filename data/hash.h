// XXH64: the hash of features without a vocabulary. Its values are part of every feature_map.json that names it.
#pragma once
#include <cstdint>
#include <string_view>

namespace winnow {

// XXH64 (Y. Collet, "XXH64 algorithm description", xxHash specification 0.1.1, section "XXH64"), little-endian reads.
uint64_t xxh64(std::string_view bytes, uint64_t seed = 0);

}  // namespace winnow
