// Character references of HTML.
#include <algorithm>
#include <array>
#include <charconv>
#include <vector>

#include "core/utf8.h"
#include "data/detail/html_entities.h"
#include "data/text_normalise.h"

namespace winnow {
namespace {

constexpr size_t kLongestReference = 34;  // bytes from & to ;, both included: the longest name has 31

struct Entity {
  std::string_view name;
  std::string text;
};

std::vector<Entity> parse_entities() {
  std::vector<Entity> entities;
  std::string_view rest = detail::kHtmlEntities;
  while (!rest.empty()) {
    const size_t equals = rest.find('='), end = rest.find(' ');
    Entity e{rest.substr(0, equals), {}};
    for (const char* at = rest.data() + equals; *at != ' ';) {
      uint32_t c = 0;
      at = std::from_chars(at + 1, rest.data() + end, c, 16).ptr;
      append_utf8(e.text, c);
    }
    entities.push_back(std::move(e));
    rest.remove_prefix(end + 1);
  }
  return entities;
}

const std::string* find_entity(std::string_view name) {
  static const std::vector<Entity> entities = parse_entities();
  const auto at = std::ranges::lower_bound(entities, name, {}, &Entity::name);
  return at != entities.end() && at->name == name ? &at->text : nullptr;
}

// What browsers read the numbers 0x80 to 0x9F as; 0: the number itself.
constexpr std::array<uint16_t, 32> kWindows1252 = {0x20AC, 0,      0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021,
                                                   0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0,      0x017D, 0,
                                                   0,      0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014,
                                                   0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0,      0x017E, 0x0178};

// The text of "#233" or "#xE9"; "" when it is no number.
std::string numbered(std::string_view reference) {
  reference.remove_prefix(1);
  const bool hexadecimal = reference.starts_with('x') || reference.starts_with('X');
  if (hexadecimal) reference.remove_prefix(1);
  uint32_t c = 0;
  const auto [end, error] =
      std::from_chars(reference.data(), reference.data() + reference.size(), c, hexadecimal ? 16 : 10);
  if (end != reference.data() + reference.size() || reference.empty()) return "";
  if (error == std::errc::result_out_of_range || c == 0 || c > 0x10FFFF || (c >= 0xD800 && c < 0xE000))
    c = kReplacement;
  if (c >= 0x80 && c < 0xA0 && kWindows1252[c - 0x80] != 0) c = kWindows1252[c - 0x80];
  std::string text;
  append_utf8(text, c);
  return text;
}

bool is_name_byte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '#';
}

// The output, in which no reference is ever complete: a semicolon that would complete one replaces it by its text,
// whose bytes come in the same way.
class Decoded {
 public:
  std::string text;

  void push(char c) {
    text += c;
    if (c == ';') close();
  }

 private:
  void close() {
    const size_t end = text.size() - 1, least = text.size() > kLongestReference ? text.size() - kLongestReference : 0;
    size_t at = end;
    while (at > least && is_name_byte(text[at - 1])) --at;
    if (at == least || at == end || text[at - 1] != '&') return;
    const std::string_view reference = std::string_view(text).substr(at, end - at);
    std::string meaning;
    if (reference[0] == '#') {
      meaning = numbered(reference);
    } else if (const std::string* found = find_entity(reference)) {
      meaning = *found;
    }
    if (meaning.empty()) return;
    text.resize(at - 1);
    for (const char c : meaning) push(c);
  }
};

}  // namespace

std::string decode_html(std::string_view text) {
  Decoded decoded;
  decoded.text.reserve(text.size());
  for (const char c : text) decoded.push(c);
  return std::move(decoded.text);
}

}  // namespace winnow
