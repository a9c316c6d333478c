// data/text_normalise.h over any bytes: DataError for text that is not UTF-8 when that is asked for, else UTF-8 that
// normalising again leaves as it is. The first byte chooses the options.
#include <memory>
#include <string>

#include "core/error.h"
#include "core/text.h"
#include "data/text_normalise.h"
#include "tests/fuzz/memory_bound.h"

namespace winnow {
namespace {

void check_decoder(std::string_view text) {
  const std::string once = decode_html(text);
  expect(decode_html(once) == once, "decoding leaves no reference");
  expect(!is_utf8(text) || is_utf8(once), "decoding keeps UTF-8");
  expect(text.find('&') != std::string_view::npos || once == text, "text without ampersand stays");
}

void check_normal_form(std::string_view text, const TextNormalisation& options) {
  std::string once, twice;
  const bool changed = normalise_text(text, options, once);
  expect(changed == (once != text), "a change is reported");
  expect(is_utf8(once), "the normal form is UTF-8");
  expect(!normalise_text(once, options, twice) && twice == once, "the normal form is settled");
}

}  // namespace
}  // namespace winnow

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace winnow;
  if (size == 0) return 0;
  const TextNormalisation options{.html = (data[0] & 1) == 0,
                                  .nfkc = (data[0] & 2) == 0,
                                  .letter_case = static_cast<TextCase>((data[0] >> 2) % 3),
                                  .control = (data[0] & 16) == 0,
                                  .whitespace = (data[0] & 32) == 0,
                                  .invalid = (data[0] & 64) == 0 ? InvalidUtf8::Replace : InvalidUtf8::Error};
  const size_t bytes = size - 1;
  const std::unique_ptr<char[]> text(new char[bytes]);  // the exact size, so that a read past the end is seen
  std::copy(data + 1, data + size, text.get());
  const std::string_view view(text.get(), bytes);
  const MemoryBound bound(bytes);
  check_decoder(view);
  try {
    check_normal_form(view, options);
  } catch (const DataError&) { expect(options.invalid == InvalidUtf8::Error && !is_utf8(view), "only such an error"); }
  return 0;
}
