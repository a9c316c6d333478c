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

ChartBounds bounds_of(const ChartOptions& options, std::vector<ChartRow>& rows, bool bars) {
  double low = bars ? 0 : INFINITY, high = bars ? 0 : -INFINITY;
  for (ChartRow& r : rows) {
    if (r.interval && (!std::isfinite(r.interval->low) || !std::isfinite(r.interval->high))) r.interval.reset();
    low = std::min({low, r.value, r.interval ? r.interval->low : r.value});
    high = std::max({high, r.value, r.interval ? r.interval->high : r.value});
  }
  const double pad = bars ? 0 : 0.04 * (high - low);  // room beside the outermost whiskers
  return options.x_bounds.value_or(ChartBounds{low - pad, high + pad});
}

std::string axis_drawing(const ChartOptions& options, const Scale& x, double bottom) {
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
  return drawing + fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\n",
                               coordinate(kChartWidth - kSide), coordinate(bottom + 31), escape_html(options.x_label));
}

std::string row_drawing(const ChartRow& r, const Scale& x, double y, bool bar) {
  const double middle = y + 22;
  std::string marks;
  if (bar)
    marks = fmt::format("<rect class=\"bar c{}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"10\"/>", r.colour,
                        coordinate(std::min(x.at(0), x.at(r.value))), coordinate(middle - 5),
                        coordinate(std::max(0.6, std::abs(x.at(r.value) - x.at(0)))));
  if (r.interval)
    marks += fmt::format("<path class=\"whisker\" d=\"M{0} {1}v6m0-3H{2}m0-3v6\"/>", coordinate(x.at(r.interval->low)),
                         coordinate(middle - 3), coordinate(x.at(r.interval->high)));
  if (!bar)
    marks += fmt::format("<circle class=\"fill c{}\" cx=\"{}\" cy=\"{}\" r=\"4.5\"/>", r.colour,
                         coordinate(x.at(r.value)), coordinate(middle));
  const size_t room = 54 - std::min<size_t>(r.text.size(), 40);
  return fmt::format(
      "<g>{}<rect class=\"row\" x=\"0\" y=\"{}\" width=\"{}\" height=\"{}\"/>"
      "<text class=\"strong\" x=\"{}\" y=\"{}\">{}</text><text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>{}</g>\n",
      svg_title(tooltip(r)), coordinate(y), coordinate(kChartWidth), coordinate(kRow), coordinate(kSide),
      coordinate(y + 12), escape_html(shortened(r.name, room)), coordinate(kChartWidth - kSide), coordinate(y + 12),
      escape_html(r.text), marks);
}

std::string rows_chart(const ChartOptions& options, const std::vector<ChartRow>& all, bool bars) {
  std::vector<ChartRow> rows = all;
  std::erase_if(rows, [](const ChartRow& r) { return !std::isfinite(r.value); });
  if (rows.empty()) return "";
  const ChartBounds bounds = bounds_of(options, rows, bars);
  const double height = kTop + kRow * static_cast<double>(rows.size()) + kAxis, bottom = height - kAxis;
  const Scale x(bounds.low, bounds.high, kSide, kChartWidth - 2 * kSide);
  std::string drawing = axis_drawing(options, x, bottom);
  HtmlTable table(options.title, {options.y_label.empty() ? "name" : options.y_label, options.x_label});
  double y = kTop;
  for (const ChartRow& r : rows) {
    drawing += row_drawing(r, x, y, bars);
    table.row({escape_html(r.name), escape_html(r.text)});
    y += kRow;
  }
  if (bounds.low < 0 && bounds.high > 0)
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
