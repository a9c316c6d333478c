// The list `clean` of the `data:` section.
#include "core/config.h"
#include "core/text.h"
#include "data/clean.h"
#include "data/detail/clean_filters.h"
#include "data/timestamp.h"

namespace winnow {
namespace {

std::vector<std::string> required_columns(const ConfigNode& n, std::string_view key) {
  auto columns = n.require<std::vector<std::string>>(key);
  if (columns.empty()) n.fail(key, "must name at least one column");
  return columns;
}

TimeFormat read_format(const ConfigNode& n, const char* fallback) {
  const std::string format = n.get("format", fallback);
  try {
    return TimeFormat(format);
  } catch (const ConfigError& e) { n.fail("format", e.what()); }
}

DropRule read_rule(const ConfigNode& n) {
  DropRule s{.column = n.require<std::string>("column"), .rule = n.require<std::string>("rule"), .values = {}};
  if (s.rule == "one_of" || s.rule == "not_one_of") s.values = n.require<std::vector<std::string>>("values");
  try {
    const detail::RowRule checked(s);
  } catch (const ConfigError& e) { n.fail("rule", e.what()); }
  return s;
}

int64_t read_time(const ConfigNode& n, std::string_view key, const TimeFormat& format) {
  const auto text = n.require<std::string>(key);
  const auto seconds = format.parse(text);
  if (!seconds) n.fail(key, fmt::format("{} is not a time of the format {}", quoted(text), quoted(format.format())));
  return *seconds;
}

DropImpossible read_impossible(const ConfigNode& n) {
  DropImpossible s;
  s.column = n.require<std::string>("column");
  if (n.has("format")) {
    const TimeFormat format = read_format(n, "unix");
    s.time_format = format.format();
    if (n.has("earliest")) s.earliest = read_time(n, "earliest", format);
    s.latest_now = n.has("latest") && n.get("latest", "") == "now";
    if (n.has("latest") && !s.latest_now) s.latest = read_time(n, "latest", format);
    if (s.earliest && s.latest && *s.earliest > *s.latest) n.fail("earliest", "lies after latest");
    return s;
  }
  s.min = n.find<double>("min");
  s.max = n.find<double>("max");
  if (s.min && s.max && *s.min > *s.max) n.fail("min", "lies above max");
  return s;
}

DropOutliers read_outliers(const ConfigNode& n) {
  DropOutliers s;
  s.column = n.require<std::string>("column");
  s.group = n.get("group", "");
  const std::string method = n.require_choice("method", {"iqr", "zscore", "quantile"});
  if (method == "quantile") {
    s.method = DropOutliers::Quantile;
    s.low = n.get("low", s.low, between(0, 1));
    s.high = n.get("high", s.high, between(0, 1));
    if (s.low >= s.high) n.fail("low", fmt::format("{:g} must lie below high, {:g}", s.low, s.high));
  } else {
    s.method = method == "iqr" ? DropOutliers::Iqr : DropOutliers::ZScore;
    s.k = n.get("k", s.k, more_than(0));
  }
  s.min_rows = n.get("min_rows", s.min_rows, at_least(1));
  s.log = n.choice("scale", "linear", {"linear", "log"}) == "log";
  return s;
}

DropCancelled read_cancelled(const ConfigNode& n) {
  DropCancelled s;
  s.column = n.require<std::string>("column");
  s.prefix = n.require<std::string>("prefix");
  if (s.prefix.empty()) n.fail("prefix", "must not be empty: every row would be a cancellation");
  if (!n.has("match")) return s;
  s.match = required_columns(n, "match");
  s.quantity = n.get("quantity", "");
  return s;
}

DropBots read_bots(const ConfigNode& n) {
  DropBots s;
  s.user = n.require<std::string>("user");
  s.time = n.require<std::string>("time");
  s.time_format = read_format(n, "unix").format();
  s.events = n.require<int64_t>("events", at_least(1));
  s.seconds = n.require<int64_t>("seconds", at_least(1));
  s.whole_user = n.choice("drop", "user", {"user", "burst"}) == "user";
  return s;
}

NormaliseTextStep read_text(const ConfigNode& n) {
  NormaliseTextStep s;
  s.columns = required_columns(n, "columns");
  s.options.html = n.get("html", s.options.html);
  s.options.nfkc = n.get("nfkc", s.options.nfkc);
  const std::string letter_case = n.choice("case", "keep", {"keep", "lower", "fold"});
  s.options.letter_case = letter_case == "keep"    ? TextCase::Keep
                          : letter_case == "lower" ? TextCase::Lower
                                                   : TextCase::Fold;
  s.options.control = n.get("control", s.options.control);
  s.options.whitespace = n.get("whitespace", s.options.whitespace);
  s.options.invalid =
      n.choice("invalid_utf8", "error", {"error", "replace"}) == "error" ? InvalidUtf8::Error : InvalidUtf8::Replace;
  return s;
}

CleanStep read_step(const ConfigNode& n) {
  const std::string step = n.require_choice(
      "step", {"duplicates", "missing", "rule", "impossible", "outliers", "cancelled", "bots", "text"});
  if (step == "duplicates") return DropDuplicates{n.get("columns", std::vector<std::string>{})};
  if (step == "missing") return DropMissing{required_columns(n, "columns")};
  if (step == "rule") return read_rule(n);
  if (step == "impossible") return read_impossible(n);
  if (step == "outliers") return read_outliers(n);
  if (step == "cancelled") return read_cancelled(n);
  if (step == "bots") return read_bots(n);
  return read_text(n);
}

}  // namespace

CleanSpec parse_clean(const std::vector<ConfigNode>& steps) {
  CleanSpec spec;
  for (const ConfigNode& step : steps) spec.steps.push_back(read_step(step));
  return spec;
}

}  // namespace winnow
