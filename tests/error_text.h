// What an expected error says.
#pragma once
#include <string>

namespace winnow {

// The text of the E that f throws; "no error" when it throws nothing.
template <class E, class F>
std::string text_of(F&& f) {
  try {
    f();
  } catch (const E& e) { return e.what(); }
  return "no error";
}

}  // namespace winnow
