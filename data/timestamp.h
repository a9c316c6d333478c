// Points in time as text: Unix seconds or a date format.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace winnow {

// format: "unix" (seconds, a fraction is dropped), "unix_ms", or a text with %Y %m %d %H %M %S (numbers; %m %d %H %M %S
// of one or two digits) and literal characters, such as "%Y-%m-%d %H:%M:%S" and "%m/%d/%Y %H:%M". Times are UTC.
class TimeFormat {
 public:
  explicit TimeFormat(std::string format = "unix");  // ConfigError: an unknown % field, no %Y %m %d
  const std::string& format() const { return format_; }
  // Seconds since 1970, or nothing when the whole text is not such a time (the calendar is checked).
  std::optional<int64_t> parse(std::string_view text) const;

 private:
  std::optional<int64_t> parse_date(std::string_view text) const;
  std::string format_;
};

std::string format_date(int64_t seconds);  // "2010-12-01 08:26:00", for messages

// The whole text as a finite number, or nothing. "nan", "inf", blanks and trailing characters are not numbers.
std::optional<double> parse_number(std::string_view text);

}  // namespace winnow
