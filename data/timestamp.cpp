#include "data/timestamp.h"

#include <charconv>
#include <chrono>
#include <cmath>

#include "core/error.h"
#include "core/text.h"

namespace winnow {
namespace {

constexpr std::string_view kFields = "YmdHMS";
constexpr double kLargest = 1e12;  // seconds: the year 33658

}  // namespace

std::optional<double> parse_number(std::string_view text) {
  double x = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), x);
  if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(x)) return {};
  return x;
}

TimeFormat::TimeFormat(std::string format) : format_(std::move(format)) {
  if (format_ == "unix" || format_ == "unix_ms") return;
  for (const char needed : std::string_view("Ymd"))
    WN_CHECK(format_.find({'%', needed}) != std::string::npos, ConfigError,
             "time format {}: %{} is missing; give unix, unix_ms or a format such as %Y-%m-%d %H:%M:%S",
             quoted(format_), needed);
  for (size_t i = format_.find('%'); i != std::string::npos; i = format_.find('%', i + 1))
    WN_CHECK(i + 1 < format_.size() && kFields.find(format_[i + 1]) != std::string_view::npos, ConfigError,
             "time format {}: after % comes one of Y m d H M S", quoted(format_));
}

std::optional<int64_t> TimeFormat::parse(std::string_view text) const {
  if (format_[0] != 'u') return parse_date(text);
  const auto x = parse_number(text);
  if (!x) return {};
  const double seconds = format_ == "unix" ? *x : *x / 1000;
  if (std::abs(seconds) > kLargest) return {};
  return static_cast<int64_t>(seconds);
}

std::optional<int64_t> TimeFormat::parse_date(std::string_view text) const {
  namespace ch = std::chrono;
  int part[6] = {0, 1, 1, 0, 0, 0};  // as kFields
  size_t at = 0;
  for (size_t i = 0; i < format_.size(); ++i) {
    if (format_[i] != '%') {
      if (at >= text.size() || text[at++] != format_[i]) return {};
      continue;
    }
    const size_t field = kFields.find(format_[++i]), most = field == 0 ? 4 : 2, begin = at;
    int value = 0;
    for (; at < text.size() && at < begin + most && text[at] >= '0' && text[at] <= '9'; ++at)
      value = value * 10 + (text[at] - '0');
    if (at == begin || (field == 0 && at != begin + most)) return {};
    part[field] = value;
  }
  const ch::year_month_day date{ch::year(part[0]), ch::month(static_cast<unsigned>(part[1])),
                                ch::day(static_cast<unsigned>(part[2]))};
  if (at != text.size() || !date.ok() || part[3] > 23 || part[4] > 59 || part[5] > 60) return {};
  const int64_t days = ch::sys_days(date).time_since_epoch().count();
  return ((days * 24 + part[3]) * 60 + part[4]) * 60 + part[5];
}

std::string format_date(int64_t seconds) {
  namespace ch = std::chrono;
  const ch::sys_seconds time{ch::seconds(seconds)};
  const auto day = ch::floor<ch::days>(time);
  const ch::year_month_day date(day);
  const ch::hh_mm_ss clock(time - day);
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}", int(date.year()), unsigned(date.month()),
                     unsigned(date.day()), clock.hours().count(), clock.minutes().count(), clock.seconds().count());
}

}  // namespace winnow
