// Charts with one row a thing: bars from zero, and dots with intervals.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "train/report/chart_frame.h"
#include "train/report/html.h"

namespace winnow {
namespace {

constexpr double kRow = 32, kTop = 4, kAxis = 36, kSide = 4;

// A name that may not fit: its beginning, and all of it in the tooltip.
std::string shortened(const std::string& name, size_t most) {
  std::string out;
  size_t characters = 0;
  for (const char c : name) {
    if ((c & 0xc0) != 0x80 && ++characters > most) return out + "\u2026";
    out += c;
  }
  return out;
}

std::string tooltip(const ChartRow& row) {
  return row.text.empty() ? row.name : fmt::format("{}: {}", row.name, row.text);
}

std::string rows_chart(const ChartOptions& options, const std::vector<ChartRow>& all, bool bars) {
  std::vector<ChartRow> rows = all;
  std::erase_if(rows, [](const ChartRow& r) { return !std::isfinite(r.value); });
  if (rows.empty()) return "";
  double low = bars ? 0 : INFINITY, high = bars ? 0 : -INFINITY;
  for (ChartRow& r : rows) {
    if (r.interval && (!std::isfinite(r.interval->low) || !std::isfinite(r.interval->high))) r.interval.reset();
    low = std::min({low, r.value, r.interval ? r.interval->low : r.value});
    high = std::max({high, r.value, r.interval ? r.interval->high : r.value});
  }
  if (!bars) {  // room beside the outermost whiskers
    const double pad = 0.04 * (high - low);
    low -= pad;
    high += pad;
  }
  if (options.x_bounds) low = options.x_bounds->low, high = options.x_bounds->high;
  const double height = kTop + kRow * static_cast<double>(rows.size()) + kAxis, bottom = height - kAxis;
  const Scale x(low, high, kSide, kChartWidth - 2 * kSide);
  const auto ticks = x.ticks(4);
  const auto labels = x.labels(ticks);
  std::string drawing;
  for (size_t i = 0; i < ticks.size(); ++i) {
    const double at = x.at(ticks[i]);
    const char* anchor = at < 20 ? "start" : at > kChartWidth - 20 ? "end" : "middle";
    drawing += fmt::format(
        "<path class=\"rule\" d=\"M{0} {1}V{2}\"/><text x=\"{0}\" y=\"{3}\" text-anchor=\"{4}\">{5}</text>\n",
        coordinate(at), kTop, coordinate(bottom), coordinate(bottom + 15), anchor, labels[i]);
  }
  drawing += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\n", coordinate(kChartWidth - kSide),
                         coordinate(bottom + 31), escape_html(options.x_label));
  HtmlTable table(options.title, {options.y_label.empty() ? "name" : options.y_label, options.x_label});
  double y = kTop;
  for (const ChartRow& r : rows) {
    const double middle = y + 22;
    std::string marks;
    if (bars)
      marks = fmt::format("<rect class=\"bar c{}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"10\"/>", r.colour,
                          coordinate(std::min(x.at(0), x.at(r.value))), coordinate(middle - 5),
                          coordinate(std::max(0.6, std::abs(x.at(r.value) - x.at(0)))));
    if (r.interval)
      marks +=
          fmt::format("<path class=\"whisker\" d=\"M{0} {1}v6m0-3H{2}m0-3v6\"/>", coordinate(x.at(r.interval->low)),
                      coordinate(middle - 3), coordinate(x.at(r.interval->high)));
    if (!bars)
      marks += fmt::format("<circle class=\"fill c{}\" cx=\"{}\" cy=\"{}\" r=\"4.5\"/>", r.colour,
                           coordinate(x.at(r.value)), coordinate(middle));
    const size_t room = 54 - std::min<size_t>(r.text.size(), 40);
    drawing += fmt::format(
        "<g>{}<rect class=\"hit\" x=\"0\" y=\"{}\" width=\"{}\" height=\"{}\"/><text class=\"strong\" x=\"{}\" "
        "y=\"{}\">{}</text>"
        "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>{}</g>\n",
        svg_title(tooltip(r)), coordinate(y), coordinate(kChartWidth), coordinate(kRow), coordinate(kSide),
        coordinate(y + 12), escape_html(shortened(r.name, room)), coordinate(kChartWidth - kSide), coordinate(y + 12),
        escape_html(r.text), marks);
    table.row({escape_html(r.name), escape_html(r.text)});
    y += kRow;
  }
  if (low < 0 && high > 0)
    drawing +=
        fmt::format("<path class=\"axis\" d=\"M{0} {1}V{2}\"/>\n", coordinate(x.at(0)), kTop, coordinate(bottom));
  return chart_figure(options, height, drawing, {}, table.str());
}

}  // namespace

std::string bar_chart(const ChartOptions& options, const std::vector<ChartRow>& rows) {
  return rows_chart(options, rows, true);
}

std::string interval_chart(const ChartOptions& options, const std::vector<ChartRow>& rows) {
  return rows_chart(options, rows, false);
}

}  // namespace winnow
