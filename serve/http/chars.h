// Classes of bytes of HTTP's grammar, by table.
#pragma once
#include <array>
#include <cstdint>
#include <string_view>

namespace winnow {

enum HttpCharClass : uint8_t {
  kTokenChar = 1,   // RFC 9110, 5.6.2
  kValueChar = 2,   // RFC 9110, 5.5, with tab and obs-text
  kTargetChar = 4,  // RFC 3986: pchar, "/" and "?"
  kHostChar = 8,    // of names, IPv4 and [IPv6] addresses with ports
};

constexpr std::array<uint8_t, 256> http_char_classes() {
  std::array<uint8_t, 256> classes{};
  const auto mark = [&](std::string_view chars, unsigned which) {
    for (const char c : chars) classes[static_cast<uint8_t>(c)] |= static_cast<uint8_t>(which);
  };
  mark("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-._", kTokenChar | kTargetChar | kHostChar);
  mark("~!$&'*+", kTokenChar | kTargetChar);
  mark("#^`|%", kTokenChar);
  mark("%(),;=:@/?", kTargetChar);
  mark(":[]", kHostChar);
  for (int c = 0x20; c < 0x100; ++c)
    if (c != 0x7f) classes[static_cast<size_t>(c)] |= kValueChar;
  mark("\t", kValueChar);
  return classes;
}
inline constexpr std::array<uint8_t, 256> kHttpChars = http_char_classes();

inline bool is_http_char(char c, HttpCharClass which) { return (kHttpChars[static_cast<uint8_t>(c)] & which) != 0; }

inline bool all_http_chars(std::string_view text, HttpCharClass which) {
  for (const char c : text)
    if (!is_http_char(c, which)) return false;
  return true;
}

// The value of a hexadecimal digit, -1 for another byte.
inline int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

}  // namespace winnow
