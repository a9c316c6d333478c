// JSON answers, piece by piece. Floats have the fewest digits that read back to the same bits.
#pragma once
#include <fmt/format.h>

#include <cmath>
#include <concepts>
#include <string>
#include <string_view>

namespace winnow {

class JsonWriter {
 public:
  JsonWriter& open(char bracket) {  // '{' or '['
    comma();
    text_ += bracket;
    first_ = true;
    return *this;
  }
  JsonWriter& close(char bracket) {
    text_ += bracket;
    first_ = false;
    return *this;
  }
  JsonWriter& key(std::string_view name) {
    comma();
    quote(name);
    text_ += ':';
    first_ = true;
    return *this;
  }
  JsonWriter& value(std::string_view text) {
    comma();
    quote(text);
    return *this;
  }
  JsonWriter& value(const char* text) { return value(std::string_view(text)); }
  JsonWriter& value(bool b) { return raw(b ? "true" : "false"); }
  template <std::integral T>
  JsonWriter& value(T n) {
    comma();
    fmt::format_to(std::back_inserter(text_), "{}", n);
    return *this;
  }
  template <std::floating_point T>
  JsonWriter& value(T x) {
    comma();
    if (std::isfinite(x))
      fmt::format_to(std::back_inserter(text_), "{}", x);
    else
      text_ += "null";
    return *this;
  }
  JsonWriter& raw(std::string_view json) {
    comma();
    text_ += json;
    return *this;
  }
  template <class T>
  JsonWriter& field(std::string_view name, const T& v) {
    return key(name).value(v);
  }
  std::string take() { return std::move(text_); }

 private:
  void comma() {
    if (!first_) text_ += ',';
    first_ = false;
  }
  void quote(std::string_view text) {
    text_ += '"';
    for (const char c : text) {
      if (c == '"' || c == '\\')
        text_ += '\\', text_ += c;
      else if (static_cast<unsigned char>(c) < 0x20)
        fmt::format_to(std::back_inserter(text_), "\\u{:04x}", static_cast<unsigned>(c));
      else
        text_ += c;
    }
    text_ += '"';
  }
  std::string text_;
  bool first_ = true;
};

}  // namespace winnow
