#include "data/detail/json_line.h"

#include <algorithm>
#include <cstring>

#include "core/error.h"
#include "core/text.h"
#include "core/utf8.h"

namespace winnow::detail {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

JsonLine::JsonLine(char* begin, size_t size, std::string_view file, int64_t line, char list_separator)
    : begin_(begin), at_(begin), end_(begin + size), file_(file), line_(line), separator_(list_separator) {}

bool JsonLine::next(std::string_view& key, std::string_view& cell) {
  skip_blanks();
  if (!started_) {
    started_ = true;
    if (at_ == end_) fail(at_, "a blank line; an object is needed");
    if (!accept("{")) expected("an object {...}");
    skip_blanks();
    if (accept("}")) return skip_blanks(), at_ == end_ ? false : (expected("the end of the line"), false);
  } else if (accept("}")) {
    skip_blanks();
    if (at_ != end_) expected("the end of the line");
    return false;
  } else if (!accept(",")) {
    expected("a comma or }");
  }
  skip_blanks();
  key_ = at_;
  if (at_ == end_ || *at_ != '"') expected("a key in quotes");
  key = read_string();
  skip_blanks();
  if (!accept(":")) expected("a colon");
  skip_blanks();
  cell = at_ < end_ && *at_ == '[' ? read_list() : read_scalar();
  return true;
}

void JsonLine::skip_blanks() {
  while (at_ < end_ && (*at_ == ' ' || *at_ == '\t' || *at_ == '\r')) ++at_;
}

bool JsonLine::accept(std::string_view word) {
  if (static_cast<size_t>(end_ - at_) < word.size() || std::memcmp(at_, word.data(), word.size()) != 0) return false;
  at_ += word.size();
  return true;
}

std::string_view JsonLine::read_string() {
  char* const begin = ++at_;
  char* out = nullptr;  // once something was shortened
  for (;;) {
    if (at_ == end_) fail(begin - 1, "a string that is never closed");
    const auto c = static_cast<unsigned char>(*at_);
    if (c == '"') {
      char* const stop = out != nullptr ? out : at_;
      ++at_;
      return {begin, static_cast<size_t>(stop - begin)};
    }
    if (c < 0x20) fail(at_, fmt::format("the control character {} in a string", quoted({at_, 1})));
    if (c == '\\') {
      out = read_escape(out != nullptr ? out : at_);
    } else {
      if (out != nullptr) *out++ = *at_;
      ++at_;
    }
  }
}

char* JsonLine::read_escape(char* out) {
  const char* const escape = at_++;
  if (at_ == end_) fail(escape, "a string that is never closed");
  static constexpr std::string_view kFrom = "\"\\/bfnrt", kTo = "\"\\/\b\f\n\r\t";
  const char c = *at_++;
  if (const size_t i = kFrom.find(c); i != std::string_view::npos) {
    *out++ = kTo[i];
    return out;
  }
  if (c != 'u') fail(escape, fmt::format("the escape {}", quoted({escape, 2})));
  uint32_t code = read_hex4();
  if (code >= 0xD800 && code < 0xDC00 && accept("\\u")) {
    const uint32_t low = read_hex4();
    if (low < 0xDC00 || low > 0xDFFF) fail(escape, "half of a surrogate pair");
    code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
  } else if (code >= 0xD800 && code <= 0xDFFF) {
    fail(escape, "half of a surrogate pair");
  }
  if (code == 0) fail(escape, "a NUL character");
  return out + write_utf8(code, reinterpret_cast<uint8_t*>(out));
}

uint32_t JsonLine::read_hex4() {
  uint32_t code = 0;
  for (int i = 0; i < 4; ++i, ++at_) {
    const char c = at_ < end_ ? *at_ : '\0';
    const char lower = static_cast<char>(c | 0x20);
    if (!is_digit(c) && (lower < 'a' || lower > 'f')) fail(at_, "\\u needs four hexadecimal digits");
    code = code * 16 + static_cast<uint32_t>(is_digit(c) ? c - '0' : lower - 'a' + 10);
  }
  return code;
}

std::string_view JsonLine::read_scalar() {
  if (at_ == end_) expected("a value");
  if (*at_ == '"') return read_string();
  if (*at_ == '-' || is_digit(*at_)) return read_number();
  if (accept("true")) return "1";
  if (accept("false")) return "0";
  if (accept("null")) return {};
  if (*at_ == '{' || *at_ == '[')
    fail(at_, "a nested value; a cell is a scalar or an array of scalars: flatten it, for example with jq");
  expected("a value");
}

std::string_view JsonLine::read_number() {
  char* const begin = at_;
  const auto digits = [&] {
    char* const first = at_;
    while (at_ < end_ && is_digit(*at_)) ++at_;
    if (at_ == first) expected("a digit");
    return at_ - first;
  };
  accept("-");
  const char* const first = at_;
  if (digits() > 1 && *first == '0') fail(first, "a number with a leading zero; write it as a string");
  if (accept(".")) digits();
  if (accept("e") || accept("E")) {
    if (!accept("+")) accept("-");
    digits();
  }
  return {begin, static_cast<size_t>(at_ - begin)};
}

std::string_view JsonLine::read_list() {
  char* const begin = at_++;
  char* out = begin;
  skip_blanks();
  if (accept("]")) return {};
  for (;;) {
    skip_blanks();
    const char* const element = at_;
    const std::string_view text = read_scalar();
    const bool null = text.data() == nullptr;
    if (!null && text.empty()) fail(element, "an empty text in a list, which a joined cell cannot hold");
    if (text.find(separator_) != std::string_view::npos)
      fail(element, fmt::format("{} holds the separator of lists, {}; choose another list_separator", quoted(text),
                                quoted({&separator_, 1})));
    if (!null) {
      if (out != begin) *out++ = separator_;
      std::memmove(out, text.data(), text.size());
      out += text.size();
    }
    skip_blanks();
    if (accept("]")) return {begin, static_cast<size_t>(out - begin)};
    if (!accept(",")) expected("a comma or ]");
  }
}

void JsonLine::fail(const char* at, const std::string& what) const {
  raise<DataError>("{}:{}:{}: {}", file_, line_, at - begin_ + 1, what);
}

void JsonLine::expected(const char* what) const {
  const std::string_view rest(at_, std::min<size_t>(20, static_cast<size_t>(end_ - at_)));
  fail(at_, fmt::format("{} is expected, found {}", what, rest.empty() ? "the end of the line" : quoted(rest)));
}

}  // namespace winnow::detail
