#include <algorithm>
#include <chrono>

#include "train/report/html.h"
#include "train/report/json_access.h"
#include "train/report/scale.h"
#include "train/report/sections.h"

namespace winnow {
namespace {

std::string count(const Json& object, const char* key) {
  const auto n = number_in(object, key);
  return n ? count_text(*n) : "-";
}

// A time as the data report writes it: text as it is, a number as seconds since 1970 in UTC.
std::string time_text(const Json& split, const char* key) {
  const auto seconds = number_in(split, key);
  if (!seconds) return escape_html(text_in(split, key));
  if (!(*seconds > -6e10 && *seconds < 2.5e11)) return escape_html(text_in(split, key));
  const std::chrono::sys_seconds at{std::chrono::seconds(static_cast<int64_t>(*seconds))};
  const auto day = std::chrono::floor<std::chrono::days>(at);
  const std::chrono::year_month_day date{day};
  const std::chrono::hh_mm_ss time{at - day};
  return fmt::format("{}-{:02}-{:02} {:02}:{:02}", static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                     static_cast<unsigned>(date.day()), time.hours().count(), time.minutes().count());
}

std::string cleaning_table(const Json& data) {
  const Json& steps = member(data, "clean");
  if (!steps.is_array() || steps.empty()) return "";
  HtmlTable table("What was cleaned, step by step", {"step", "column", "rule", "rows dropped", "values changed"});
  table.text_columns(3);
  for (const Json& s : steps)
    table.row({escape_html(text_in(s, "step")), escape_html(text_in(s, "column")), escape_html(text_in(s, "what")),
               count(s, "dropped"), count(s, "changed")});
  return table.str(200, "data_report.json");
}

std::string splits_table(const Json& data) {
  const Json& splits = member(data, "splits");
  if (!splits.is_object()) return "";
  HtmlTable table("Splits", {"split", "rows", "positives", "share", "from", "to"});
  for (const char* name : {"train", "valid", "test"}) {
    const Json& s = member(splits, name);
    if (!s.is_object()) continue;
    const auto rows = number_in(s, "rows"), positives = number_in(s, "positives");
    table.row({name, count(s, "rows"), positives ? short_number(*positives) : "-",
               rows && positives && *rows > 0 ? percent(*positives / *rows) : "-", time_text(s, "from"),
               time_text(s, "to")});
  }
  return table.rows() > 0 ? table.str() : "";
}

std::string texts_table(const Json& data) {
  const Json& texts = member(data, "texts");
  if (!texts.is_object()) return "";
  HtmlTable table("Texts", {"split", "rows", "tokens, mean", "longest", "truncated", "empty"});
  for (const char* name : {"train", "valid", "test"}) {
    const Json& s = member(texts, name);
    if (!s.is_object()) continue;
    const auto mean = number_in(s, "tokens_mean");
    table.row({name, count(s, "rows"), mean ? short_number(*mean) : "-", count(s, "tokens_max"), count(s, "truncated"),
               count(s, "empty")});
  }
  return table.rows() > 0 ? table.str() : "";
}

std::string features_table(const Json& data) {
  const Json& features = member(data, "features");
  if (!features.is_array() || features.empty()) return "";
  HtmlTable table("Features", {"feature", "type", "vocabulary", "unknown in the test split"});
  table.text_columns(2);
  for (const Json& f : features) {
    const auto unknown = number_in(f, "oov_rate_test");
    table.row({escape_html(text_in(f, "name")), escape_html(text_in(f, "type")), count(f, "vocabulary"),
               unknown ? percent(*unknown) : "-"});
  }
  return table.str(200, "data_report.json");
}

}  // namespace

std::string warnings_box(const RunFiles& files) {
  const Json& leaks = member(files.data, "leaks");
  if (!leaks.is_array() || leaks.empty()) return "";
  std::string items;
  for (const Json& leak : leaks) {
    const std::string feature = text_in(leak, "feature"), kind = text_in(leak, "kind");
    items +=
        fmt::format("<li>{}{}{}</li>\n", escape_html(kind),
                    feature.empty() ? ": " : " (" + escape_html(feature) + "): ", escape_html(text_in(leak, "text")));
  }
  return "<div class=\"warn\" role=\"note\" id=\"leaks\"><p><strong>Possible leaks</strong>: the figures below may be "
         "too good to be true.</p>\n<ul>\n" +
         items + "</ul></div>\n";
}

std::string data_section(const RunFiles& files) {
  if (!files.data) return "";
  const Json& data = *files.data;
  std::string text;
  if (const auto read = number_in(data, "rows_read")) {
    text = fmt::format("{} rows read", count_text(*read));
    if (const auto kept = number_in(data, "kept")) text += fmt::format(", {} kept", count_text(*kept));
    if (const auto negatives = number_in(data, "negatives"); negatives && *negatives > 0)
      text += fmt::format(", {} negatives sampled", count_text(*negatives));
    if (const auto seconds = number_in(data, "seconds")) text += fmt::format(", in {:.3g} s", *seconds);
    text += ".";
  }
  std::string html = text.empty() ? "" : "<p>" + escape_html(text) + "</p>\n";
  html += splits_table(data) + texts_table(data) + cleaning_table(data) + features_table(data);
  const Json& leaks = member(data, "leaks");
  if (leaks.is_array() && leaks.empty()) html += "<p class=\"note\">The checks for leaks found nothing.</p>\n";
  return html_section("data", "Data", html);
}

}  // namespace winnow
