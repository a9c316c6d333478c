// One spelling for texts that people take for the same: Unicode forms, entities, case, blanks.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace winnow {

enum class TextCase : uint8_t { Keep, Lower, Fold };  // Fold: Unicode full case folding (Strasse = Straße)
enum class InvalidUtf8 : uint8_t { Error, Replace };  // Replace: U+FFFD, as Unicode 15 section 3.9 counts them

// The steps, in this order. All are on but for case.
struct TextNormalisation {
  // HTML character references: all names of HTML 5 (those of HTML 4 among them) and numbers, each with its closing
  // semicolon ("AT&T" and "?a=1&copy=2" stay). Decoded until none is left, since exports are often escaped twice:
  // "&amp;amp;" is "&".
  bool html = true;
  bool nfkc = true;  // Unicode NFKC (UAX 15): full and half width, ligatures, composed accents
  TextCase letter_case = TextCase::Keep;
  // Removes Cc but for tab and line ends, and the invisible U+00AD, 200B, 200E-F, 202A-E, 2060-2064, 2066-206F, FEFF.
  // The joiners U+200C and U+200D carry meaning and stay.
  bool control = true;
  bool whitespace = true;  // each run of White_Space becomes one blank, none at the ends
  InvalidUtf8 invalid = InvalidUtf8::Error;
};

// The text in normal form, in out; whether that differs from `text`. normalise(normalise(x)) == normalise(x), and the
// result is UTF-8. Text whose references hide one another over 16 levels deep loses its ampersands (each becomes
// U+FFFD), so that hostile text costs no more than 17 passes. DataError: not UTF-8 (InvalidUtf8::Error), over 512 MiB.
bool normalise_text(std::string_view text, const TextNormalisation& options, std::string& out);

// References decoded until none is left, in time proportional to the text. "&#x80;" to "&#x9F;" are read as
// Windows-1252, and 0, surrogates and values over U+10FFFF as U+FFFD (HTML standard, section 13.2.5.80).
std::string decode_html(std::string_view text);

}  // namespace winnow
