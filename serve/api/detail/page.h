// The page at "/", one file without anything from elsewhere.
#pragma once
#include <string_view>

namespace winnow {

extern const std::string_view kPage;

}  // namespace winnow
