// How the cell of a feature with ids is cut: the same for counting a vocabulary and for encoding.
#pragma once
#include <string_view>

#include "data/schema.h"

namespace winnow::detail {

// f(part) for each value of the cell: none when it is missing and there is no fill_na.
template <class F>
void for_each_part(const FeatureSpec& spec, std::string_view cell, F&& f) {
  const auto each = [&](std::string_view text) {
    if (spec.type != FeatureType::Multi) {
      if (!text.empty()) f(text);
      return text.empty() ? 0 : 1;
    }
    int64_t parts = 0;
    for (size_t begin = 0; begin <= text.size() && parts < spec.max_len;) {
      const size_t end = std::min(text.find(spec.separator, begin), text.size());
      if (end > begin) f(text.substr(begin, end - begin)), ++parts;
      begin = end + spec.separator.size();
    }
    return static_cast<int>(parts);
  };
  if (each(cell) == 0 && spec.fill_na) each(*spec.fill_na);
}

}  // namespace winnow::detail
