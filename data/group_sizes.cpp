#include "data/group_sizes.h"

#include <charconv>
#include <limits>

#include "core/error.h"
#include "core/text.h"

namespace winnow {

std::vector<int64_t> parse_group_sizes(std::string_view text, const std::string& file) {
  constexpr int64_t kMostRows = std::numeric_limits<int32_t>::max();
  const auto is_blank = [](char c) { return c == ' ' || c == '\t' || c == '\r'; };
  std::vector<int64_t> offsets = {0};
  int64_t line = 1;
  for (size_t at = 0; at < text.size(); ++line) {
    size_t begin = at, end = std::min(text.find('\n', at), text.size());
    at = end + 1;
    const size_t line_begin = begin;
    while (begin < end && is_blank(text[begin])) ++begin;
    while (end > begin && is_blank(text[end - 1])) --end;
    if (begin == end) continue;
    const std::string_view word = text.substr(begin, end - begin);
    int64_t size = 0;
    const auto [stop, error] = std::from_chars(word.data(), word.data() + word.size(), size);
    WN_CHECK(error == std::errc{} && stop == word.data() + word.size() && size >= 0, DataError,
             "{}:{}:{}: {} is not the number of rows of a query", file, line, begin - line_begin + 1, quoted(word));
    WN_CHECK(size <= kMostRows - offsets.back(), DataError, "{}:{}:{}: more than {} rows in all", file, line,
             begin - line_begin + 1, kMostRows);
    offsets.push_back(offsets.back() + size);
  }
  return offsets;
}

}  // namespace winnow
