// What the two databases share: the text of a SELECT.
#include "core/error.h"
#include "data/detail/block_source.h"

namespace winnow::detail {

std::string quoted_name(std::string_view name) {
  std::string text = "\"";
  for (const char c : name) text.append(c == '"' ? 2 : 1, c);
  return text + '"';
}

std::string select_of(const SourceSpec& spec, const std::string& after) {
  std::string from;
  if (!spec.table.empty()) {
    for (size_t begin = 0; begin <= spec.table.size();) {  // schema.table
      const size_t end = std::min(spec.table.find('.', begin), spec.table.size());
      if (begin > 0) from += '.';
      from += quoted_name(std::string_view(spec.table).substr(begin, end - begin));
      begin = end + 1;
    }
  } else {
    const size_t last = spec.query.find_last_not_of("; \t\r\n");
    // a line end, for a query that ends in a comment
    from = fmt::format("({}\n) AS winnow_source", spec.query.substr(0, last + 1));
  }
  std::string text = "SELECT * FROM " + from;
  if (spec.key.empty()) return text;
  const std::string key = quoted_name(spec.key);
  if (!after.empty()) text += fmt::format(" WHERE {} > {}", key, after);
  return fmt::format("{} ORDER BY {}", text, key);
}

}  // namespace winnow::detail
