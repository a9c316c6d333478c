#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/text.h"
#include "serve/store/event_store.h"

namespace winnow {
namespace {

void check_text(const std::string& text, const char* field, bool required, const std::string& where) {
  WN_CHECK(!required || !text.empty(), DataError, "{}: {}: must not be empty", where, field);
  WN_CHECK(text.size() <= kMaxEventText, DataError, "{}: {}: {} bytes, at most {} are allowed", where, field,
           text.size(), kMaxEventText);
  WN_CHECK(is_utf8(text), DataError, "{}: {}: {} is not UTF-8", where, field, quoted(text));
  const bool control = std::any_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7F; });
  WN_CHECK(!control, DataError, "{}: {}: {} has control characters", where, field, quoted(text));
}

}  // namespace

void check_event(const UserEvent& event, const std::string& where) {
  check_text(event.user, "user", true, where);
  check_text(event.item, "item", true, where);
  check_text(event.kind, "kind", true, where);
  check_text(event.request, "request", false, where);
  check_text(event.variant, "variant", false, where);
  WN_CHECK(std::isfinite(event.value), DataError, "{}: value: {} is not a finite number", where, event.value);
  WN_CHECK(event.propensity >= 0 && event.propensity <= 1, DataError, "{}: propensity: {} is not in [0, 1]", where,
           event.propensity);
  WN_CHECK(event.position >= -1, DataError, "{}: position: {} is below -1", where, event.position);
  WN_CHECK(event.time_us >= 0 && event.time_us <= kMaxEventTime, DataError,
           "{}: time_us: {} is not in [0, {}] (microseconds since 1970)", where, event.time_us, kMaxEventTime);
}

}  // namespace winnow
