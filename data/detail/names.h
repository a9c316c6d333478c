#pragma once
#include <string>
#include <string_view>

namespace winnow::detail {

// "a, b, c", for messages.
template <class Names>
std::string list_of(const Names& names) {
  std::string all;
  for (const std::string_view name : names) {
    if (!all.empty()) all += ", ";
    all += name;
  }
  return all;
}

}  // namespace winnow::detail
