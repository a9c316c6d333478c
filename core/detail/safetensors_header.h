// The JSON header of a safetensors file: a parser for exactly its structure, without recursion.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/safetensors.h"

namespace winnow::detail {

// Metadata keys under which save_safetensors() keeps its checksums.
inline constexpr std::string_view kTensorChecksums = "winnow.crc32c";        // 8 hex digits per entry, in header order
inline constexpr std::string_view kHeaderChecksum = "winnow.header_crc32c";  // over the header with "00000000" here

struct SafeTensorsHeader {
  std::vector<SafeTensors::Entry> entries;
  std::map<std::string, std::string> metadata;
  std::optional<size_t> header_checksum_at;  // where the value of kHeaderChecksum stands in the text
};

// `json` is the header without its size. IoError "source: header: byte 17: ..." with the byte counted in `json`.
// Offsets are read, not yet held against the data.
SafeTensorsHeader parse_safetensors_header(std::string_view json, const std::string& source);

// The name of a dtype in the format, "F32".
std::string_view safetensors_dtype(DType dtype);

}  // namespace winnow::detail
