#include "data/text_normalise.h"

#include <unicode/bytestream.h>
#include <unicode/casemap.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include <algorithm>

#include "core/error.h"
#include "core/text.h"

namespace winnow {
namespace {

constexpr size_t kLargest = size_t{512} << 20;  // ICU counts bytes in 32 bits, and NFKC may make 11 of one
constexpr int kRounds = 16;
constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

void check(UErrorCode code, const char* what) {
  WN_CHECK(U_SUCCESS(code), DataError, "{}: ICU reports {}", what, u_errorName(code));
}

icu::StringPiece piece(std::string_view text) { return {text.data(), static_cast<int32_t>(text.size())}; }

// U+FFFD for each maximal subpart of an ill-formed sequence.
std::string repaired(std::string_view text) {
  std::string out;
  const auto* bytes = reinterpret_cast<const uint8_t*>(text.data());
  const auto size = static_cast<int32_t>(text.size());
  for (int32_t at = 0; at < size;) {
    const int32_t begin = at;
    UChar32 c = 0;
    U8_NEXT(bytes, at, size, c);
    out += c < 0 ? kReplacement : text.substr(static_cast<size_t>(begin), static_cast<size_t>(at - begin));
  }
  return out;
}

std::string to_nfkc(std::string_view text) {
  UErrorCode code = U_ZERO_ERROR;
  const icu::Normalizer2* nfkc = icu::Normalizer2::getNFKCInstance(code);
  check(code, "NFKC");
  std::string out;
  icu::StringByteSink<std::string> sink(&out, static_cast<int32_t>(text.size()));
  nfkc->normalizeUTF8(0, piece(text), sink, nullptr, code);
  check(code, "NFKC");
  return out;
}

std::string to_case(std::string_view text, TextCase letter_case) {
  UErrorCode code = U_ZERO_ERROR;
  std::string out;
  icu::StringByteSink<std::string> sink(&out, static_cast<int32_t>(text.size()));
  if (letter_case == TextCase::Lower)
    icu::CaseMap::utf8ToLower("", 0, piece(text), sink, nullptr, code);
  else
    icu::CaseMap::utf8Fold(0, piece(text), sink, nullptr, code);
  check(code, "letter case");
  return out;
}

bool is_removed(UChar32 c) {
  if (c < 0x20 || (c >= 0x7F && c < 0xA0)) return c != '\t' && c != '\n' && c != '\r' && c != 0x85;
  return c == 0xAD || c == 0x200B || c == 0x200E || c == 0x200F || (c >= 0x202A && c <= 0x202E) ||
         (c >= 0x2060 && c <= 0x2064) || (c >= 0x2066 && c <= 0x206F) || c == 0xFEFF;
}

// Control characters and blanks in one pass over the code points.
std::string without_noise(std::string_view text, bool control, bool whitespace) {
  std::string out;
  out.reserve(text.size());
  const auto* bytes = reinterpret_cast<const uint8_t*>(text.data());
  const auto size = static_cast<int32_t>(text.size());
  bool blank = false;
  for (int32_t at = 0; at < size;) {
    const int32_t begin = at;
    UChar32 c = 0;
    U8_NEXT(bytes, at, size, c);
    if (whitespace && u_isUWhiteSpace(c)) {
      blank = true;
    } else if (!control || !is_removed(c)) {
      if (blank && !out.empty()) out += ' ';
      blank = false;
      out += text.substr(static_cast<size_t>(begin), static_cast<size_t>(at - begin));
    }
  }
  return out;
}

// Printable ASCII that no step can change.
bool is_plain(std::string_view text, const TextNormalisation& o) {
  bool after_blank = o.whitespace;
  for (const char c : text) {
    if (c < 0x20 || c == 0x7F || (o.html && c == '&')) return false;
    if (o.letter_case != TextCase::Keep && c >= 'A' && c <= 'Z') return false;
    if (o.whitespace && c == ' ' && after_blank) return false;
    after_blank = o.whitespace && c == ' ';
  }
  return text.empty() || !(o.whitespace && text.back() == ' ');
}

std::string one_round(std::string_view text, const TextNormalisation& o) {
  std::string t = o.html ? decode_html(text) : std::string(text);
  if (o.nfkc) t = to_nfkc(t);
  if (o.letter_case != TextCase::Keep) t = to_case(t, o.letter_case);
  if (o.control || o.whitespace) t = without_noise(t, o.control, o.whitespace);
  return t;
}

// The round repeated until it changes nothing: a step can uncover work for an earlier one, as U+FF06 becomes "&".
std::string settled(std::string text, const TextNormalisation& o, int rounds, bool& done) {
  done = false;
  for (int round = 0; round < rounds && !done; ++round) {
    std::string next = one_round(text, o);
    done = next == text;
    text = std::move(next);
  }
  return text;
}

std::string without_ampersands(const std::string& text) {
  std::string out;
  for (const char c : text)
    if (c == '&')
      out += kReplacement;
    else
      out += c;
  return out;
}

}  // namespace

bool normalise_text(std::string_view text, const TextNormalisation& options, std::string& out) {
  WN_CHECK(text.size() <= kLargest, DataError, "a text of {} bytes; at most {} are normalised", text.size(), kLargest);
  out.clear();
  if (is_plain(text, options)) {
    out = text;
    return false;
  }
  const bool valid = is_utf8(text);
  WN_CHECK(valid || options.invalid == InvalidUtf8::Replace, DataError,
           "{} is not UTF-8; convert the file, for example with iconv, or set `invalid_utf8: replace`", quoted(text));
  bool done = false;
  out = settled(valid ? std::string(text) : repaired(text), options, kRounds, done);
  if (!done) out = settled(without_ampersands(out), options, kRounds, done);
  WN_CHECK(done, DataError, "{}: no normal form was found", quoted(text));
  return out != text;
}

}  // namespace winnow
