#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/text.h"
#include "data/describe.h"
#include "data/timestamp.h"

namespace winnow {
namespace {

using Json = nlohmann::ordered_json;

std::string bars(const std::vector<int64_t>& histogram) {
  static constexpr std::array kHeights = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  const int64_t most = std::max<int64_t>(1, std::ranges::max(histogram));
  std::string text;
  for (const int64_t n : histogram) text += kHeights[static_cast<size_t>((n * 8 + most - 1) / most)];
  return text;
}

std::string line_of(const NumberSummary& s) {
  if (s.count == 0) return "none";
  std::string text = fmt::format("min {:.6g}, 5% {:.6g}, 25% {:.6g}, median {:.6g}, 75% {:.6g}, 95% {:.6g}, max {:.6g}",
                                 s.q[0], s.q[2], s.q[3], s.q[4], s.q[5], s.q[6], s.q[8]);
  text += fmt::format("; mean {:.6g}, deviation {:.6g}  |{}|", s.mean, s.deviation, bars(s.histogram));
  if (s.rank_error > 0)
    text +=
        fmt::format(" (ranks within {:.2g} %)", 100 * static_cast<double>(s.rank_error) / static_cast<double>(s.count));
  return text;
}

std::string share(int64_t part, int64_t whole) {
  return fmt::format("{:.3g} %", whole > 0 ? 100 * static_cast<double>(part) / static_cast<double>(whole) : 0);
}

std::string lines_of(const ColumnSummary& c, int64_t rows) {
  std::string text = fmt::format("{:<20} {:<10} {}{} distinct, {} missing\n", c.name, c.type,
                                 c.distinct_exact ? "" : "about ", c.distinct, share(c.missing, rows));
  if (c.from)
    text += fmt::format("    {} to {} ({})\n", format_date(*c.from), format_date(*c.to), c.time_format);
  else if (c.numbers)
    text += "    " + line_of(*c.numbers) + "\n";
  else if (c.lengths && c.type == "text")
    text += "    length " + line_of(*c.lengths) + "\n";
  if (c.type == "number" || c.type == "timestamp" || c.top.empty()) return text;
  std::string top;
  for (const TopValue& v : c.top)
    top += fmt::format("{}{} {}", top.empty() ? "" : ", ", winnow::quoted(v.text, 40), share(v.count, rows));
  return text + "    " + top +
         (c.top_error > 0 ? fmt::format(" (each low by at most {})", share(c.top_error, rows)) : "") + "\n";
}

Json json_of(const NumberSummary& s) {
  Json j{{"count", s.count}};
  if (s.count == 0) return j;
  j["mean"] = s.mean;
  j["deviation"] = s.deviation;
  for (size_t i = 0; i < s.q.size(); ++i) j["quantiles"].push_back({NumberSummary::kQuantiles[i], s.q[i]});
  j["rank_error"] = s.rank_error;
  j["histogram"] = s.histogram;
  return j;
}

Json json_of(const ColumnSummary& c) {
  Json j{{"name", c.name},
         {"type", c.type},
         {"missing", c.missing},
         {"distinct", c.distinct},
         {"exact", c.distinct_exact},
         {"top_error", c.top_error}};
  j["top"] = Json::array();
  for (const TopValue& v : c.top) j["top"].push_back({{"value", v.text}, {"count", v.count}});
  if (c.numbers) j["numbers"] = json_of(*c.numbers);
  if (c.lengths) j["lengths"] = json_of(*c.lengths);
  if (c.from) j["time"] = {{"format", c.time_format}, {"from", *c.from}, {"to", *c.to}};
  return j;
}

}  // namespace

std::string TableSummary::str() const {
  std::string text = fmt::format("{}: {} rows, {} columns\n", name, rows, columns.size());
  for (const ColumnSummary& c : columns) text += lines_of(c, rows);
  if (label_rate) text += fmt::format("label: mean {:.6g}\n", *label_rate);
  if (user_rows) text += fmt::format("rows of a user ({} users): {}\n", user_rows->count, line_of(*user_rows));
  if (item_rows) text += fmt::format("rows of an item ({} items): {}\n", item_rows->count, line_of(*item_rows));
  return text;
}

std::string TableSummary::json() const {
  Json j{{"name", name}, {"rows", rows}, {"columns", Json::array()}};
  for (const ColumnSummary& c : columns) j["columns"].push_back(json_of(c));
  if (label_rate) j["label_rate"] = *label_rate;
  if (user_rows) j["user_rows"] = json_of(*user_rows);
  if (item_rows) j["item_rows"] = json_of(*item_rows);
  return j.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace winnow
