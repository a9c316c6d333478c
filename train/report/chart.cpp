#include "train/report/chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "train/report/chart_frame.h"
#include "train/report/html.h"

namespace winnow {
namespace {

constexpr size_t kTooltips = 60, kTableRows = 25;

bool drawable(const ChartPoint& p, bool band, bool log) {
  return std::isfinite(p.x) && std::isfinite(p.y) && (!log || p.y > 0) &&
         (!band || (std::isfinite(p.low) && std::isfinite(p.high)));
}

std::vector<ChartSeries> drawable_series(const std::vector<ChartSeries>& series, bool log) {
  std::vector<ChartSeries> out;
  for (ChartSeries s : series) {
    std::erase_if(s.points, [&](const ChartPoint& p) { return !drawable(p, s.band, log); });
    if (!s.points.empty()) out.push_back(std::move(s));
  }
  return out;
}

std::pair<ChartBounds, ChartBounds> bounds_of(const ChartOptions& options, const std::vector<ChartSeries>& series) {
  ChartBounds x{INFINITY, -INFINITY}, y = x;
  const auto take = [](ChartBounds& b, double v) {
    b.low = std::min(b.low, v);
    b.high = std::max(b.high, v);
  };
  for (const ChartSeries& s : series)
    for (const ChartPoint& p : s.points) {
      take(x, p.x);
      take(y, p.y);
      if (!s.band) continue;
      take(y, p.low);
      take(y, p.high);
    }
  if (options.y_reference) take(y, *options.y_reference);
  return {options.x_bounds.value_or(x), options.y_bounds.value_or(y)};
}

// Every nth index of n, the last one among them.
std::vector<size_t> thinned(size_t n, size_t most) {
  std::vector<size_t> out;
  const size_t step = std::max<size_t>(1, (n + most - 1) / most);
  for (size_t i = 0; i < n; i += step) out.push_back(i);
  if (!out.empty() && out.back() != n - 1) out.push_back(n - 1);
  return out;
}

std::string band_path(const ChartSeries& s, const ChartAxes& axes) {
  std::string path;
  for (size_t i = 0; i < s.points.size(); ++i)
    path += fmt::format("{}{} {}", i == 0 ? "M" : "L", coordinate(axes.x.at(s.points[i].x)),
                        coordinate(axes.y.at(s.points[i].high)));
  for (size_t i = s.points.size(); i-- > 0;)
    path += fmt::format("L{} {}", coordinate(axes.x.at(s.points[i].x)), coordinate(axes.y.at(s.points[i].low)));
  return fmt::format("<path class=\"area c{}\" d=\"{}Z\"/>\n", s.colour, path);
}

std::string tooltip(const ChartOptions& options, const ChartSeries& s, const ChartPoint& p) {
  std::string text =
      fmt::format("{}: {} {}, {} {}", s.name, options.x_label, short_number(p.x), options.y_label, short_number(p.y));
  if (s.band) text += fmt::format(" [{}, {}]", short_number(p.low), short_number(p.high));
  return text;
}

std::string series_drawing(const ChartOptions& options, const ChartSeries& s, const ChartAxes& axes) {
  std::string out = s.band ? band_path(s, axes) : "", path;
  for (size_t i = 0; i < s.points.size(); ++i)
    path += fmt::format("{}{} {}", i == 0 ? "M" : "L", coordinate(axes.x.at(s.points[i].x)),
                        coordinate(axes.y.at(s.points[i].y)));
  if (s.line && s.points.size() > 1)
    out += fmt::format("<path class=\"stroke c{} dash{}\" d=\"{}\"/>\n", s.colour, s.dash, path);
  const bool marks = s.dots || s.points.size() == 1;
  for (const size_t i : thinned(s.points.size(), marks ? s.points.size() : kTooltips)) {
    const ChartPoint& p = s.points[i];
    out += fmt::format("<circle class=\"{} c{}\" cx=\"{}\" cy=\"{}\" r=\"{}\">{}</circle>\n", marks ? "fill" : "hit",
                       s.colour, coordinate(axes.x.at(p.x)), coordinate(axes.y.at(p.y)), marks ? "3" : "5",
                       svg_title(tooltip(options, s, p)));
  }
  return out;
}

std::string points_table(const ChartOptions& options, const std::vector<ChartSeries>& series) {
  std::string out;
  for (const ChartSeries& s : series) {
    std::vector<std::string> headings = {options.x_label, options.y_label};
    if (s.band) headings.insert(headings.end(), {"low", "high"});
    const auto rows = thinned(s.points.size(), kTableRows);
    HtmlTable table(rows.size() < s.points.size()
                        ? fmt::format("{}, {} of {} points", s.name, rows.size(), s.points.size())
                        : s.name,
                    headings);
    table.text_columns(0);
    for (const size_t i : rows) {
      const ChartPoint& p = s.points[i];
      std::vector<std::string> cells = {short_number(p.x), short_number(p.y)};
      if (s.band) cells.insert(cells.end(), {short_number(p.low), short_number(p.high)});
      table.row(cells);
    }
    out += table.str();
  }
  return out;
}

}  // namespace

std::string line_chart(const ChartOptions& options, const std::vector<ChartSeries>& all) {
  const std::vector<ChartSeries> series = drawable_series(all, options.y_log);
  if (series.empty()) return "";
  const auto [x, y] = bounds_of(options, series);
  const ChartAxes axes(options, x, y);
  std::string drawing = axes.drawing;
  const auto line = [&](double x0, double y0, double x1, double y1) {
    drawing += fmt::format("<path class=\"reference\" d=\"M{} {}L{} {}\"/>\n", coordinate(x0), coordinate(y0),
                           coordinate(x1), coordinate(y1));
  };
  if (options.diagonal) {
    const double low = std::max(axes.x.low(), axes.y.low()), high = std::min(axes.x.high(), axes.y.high());
    if (low < high) line(axes.x.at(low), axes.y.at(low), axes.x.at(high), axes.y.at(high));
  }
  if (options.y_reference)
    line(axes.left, axes.y.at(*options.y_reference), axes.right, axes.y.at(*options.y_reference));
  if (options.x_mark) {
    const double at = axes.x.at(*options.x_mark);
    const bool left = at > (axes.left + axes.right) / 2;
    line(at, axes.top, at, axes.bottom);
    drawing += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"{}\">{}</text>\n", coordinate(at + (left ? -4 : 4)),
                           coordinate(axes.bottom - 5), left ? "end" : "start", escape_html(options.mark_text));
  }
  std::vector<LegendEntry> legend;
  for (const ChartSeries& s : series) {
    drawing += series_drawing(options, s, axes);
    legend.push_back({s.name, s.colour, s.dash});
  }
  return chart_figure(options, kChartHeight, drawing, legend, points_table(options, series));
}

std::string histogram_chart(const ChartOptions& options, const std::vector<double>& edges,
                            const std::vector<HistogramSeries>& series) {
  const size_t bins = edges.size() < 2 ? 0 : edges.size() - 1;
  double highest = 0;
  std::vector<std::vector<double>> shares;
  for (const HistogramSeries& s : series) {
    if (s.counts.size() != bins) return "";
    double total = 0;
    for (const double c : s.counts) total += c;
    shares.emplace_back();
    for (const double c : s.counts) shares.back().push_back(total > 0 && c > 0 ? c / total : 0);
    for (const double share : shares.back()) highest = std::max(highest, share);
  }
  if (bins == 0 || !(highest > 0) || !std::ranges::is_sorted(edges) || !std::isfinite(edges.back() - edges.front()))
    return "";
  const ChartAxes axes(options, {edges.front(), edges.back()}, {0, highest});
  std::string drawing = axes.drawing;
  std::vector<LegendEntry> legend;
  HtmlTable table(options.title, [&] {
    std::vector<std::string> headings = {"from", "to"};
    for (const HistogramSeries& s : series) headings.push_back(s.name);
    return headings;
  }());
  table.text_columns(0);
  for (size_t i = 0; i < series.size(); ++i) {
    const HistogramSeries& s = series[i];
    std::string outline = fmt::format("M{} {}", coordinate(axes.x.at(edges[0])), coordinate(axes.bottom)), hits;
    for (size_t b = 0; b < bins; ++b) {
      const double y = axes.y.at(shares[i][b]);
      outline += fmt::format("V{}H{}", coordinate(y), coordinate(axes.x.at(edges[b + 1])));
      if (shares[i][b] == 0) continue;
      hits += fmt::format(
          "<rect class=\"hit c{}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"3\">{}</rect>\n", s.colour,
          coordinate(axes.x.at(edges[b])), coordinate(y - 1.5),
          coordinate(axes.x.at(edges[b + 1]) - axes.x.at(edges[b])),
          svg_title(fmt::format("{}: {} to {}: {} ({})", s.name, short_number(edges[b]), short_number(edges[b + 1]),
                                short_number(s.counts[b]), percent(shares[i][b]))));
    }
    outline += fmt::format("V{}", coordinate(axes.bottom));
    drawing += fmt::format("<path class=\"area c{0}\" d=\"{1}Z\"/><path class=\"stroke c{0} dash{2}\" d=\"{1}\"/>\n{3}",
                           s.colour, outline, i + 1, hits);
    legend.push_back({s.name, s.colour, static_cast<int>(i) + 1});
  }
  for (size_t b = 0; b < bins; ++b) {
    std::vector<std::string> cells = {short_number(edges[b]), short_number(edges[b + 1])};
    for (const HistogramSeries& s : series) cells.push_back(short_number(s.counts[b]));
    table.row(cells);
  }
  return chart_figure(options, kChartHeight, drawing, legend, table.str());
}

}  // namespace winnow
