// Parts of a text packed one by one: files of several gzip members or zstd frames, which every reader of these formats
// takes as one text.
#pragma once
#include <string>
#include <string_view>

namespace winnow::detail {

enum class Packing { None, Gzip, Zstd };
Packing packing_of(std::string_view format);  // csv, csv.gz, csv.zst; ConfigError lists them
std::string packed(std::string text, Packing packing);

}  // namespace winnow::detail
