#pragma once

namespace winnow::detail {

// "AElig=C6 AMP=26 ... zwnj=200C ", 2125 names.
extern const char* const kHtmlEntities;

}  // namespace winnow::detail
