#include "train/report/chart_frame.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "train/report/html.h"

namespace winnow {
namespace {

constexpr double kCharacter = 6.2;  // about the width of a digit at 11 units

double widest(const std::vector<std::string>& labels) {
  size_t most = 1;
  for (const std::string& label : labels)
    most = std::max(most, static_cast<size_t>(std::ranges::count_if(label, [](char c) { return (c & 0xc0) != 0x80; })));
  return static_cast<double>(most) * kCharacter;
}

constexpr double kTop = 24, kBottom = kChartHeight - 38, kRight = kChartWidth - 14;

double left_margin(const ChartOptions& options, ChartBounds y) {
  const Scale scale(y.low, y.high, kBottom, kTop, options.y_log);
  return widest(scale.labels(scale.ticks(5))) + 10;
}

}  // namespace

std::string coordinate(double v) {
  std::string text = fmt::format("{:.2f}", std::isfinite(v) ? v : 0.0);
  while (text.back() == '0') text.pop_back();
  if (text.back() == '.') text.pop_back();
  return text == "-0" ? "0" : text;
}

std::string svg_title(const std::string& text) { return "<title>" + escape_html(text) + "</title>"; }

std::string chart_figure(const ChartOptions& options, double height, const std::string& drawing,
                         const std::vector<LegendEntry>& legend, const std::string& table) {
  std::string html = fmt::format("<figure>\n<figcaption><strong>{}</strong>", escape_html(options.title));
  if (!options.explanation.empty()) html += fmt::format("<span>{}</span>", escape_html(options.explanation));
  html += "</figcaption>\n";
  if (legend.size() > 1) {
    html += "<ul class=\"legend\">";
    for (const LegendEntry& e : legend)
      html += fmt::format(
          "<li><svg viewBox=\"0 0 22 10\" aria-hidden=\"true\"><path class=\"stroke c{} dash{}\" d=\"M1 "
          "5H21\"/></svg>{}</li>",
          e.colour, e.dash, escape_html(e.name));
    html += "</ul>\n";
  }
  html += fmt::format("<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">\n{}</svg>\n", coordinate(kChartWidth),
                      coordinate(height), escape_html(options.title + ". " + options.explanation), drawing);
  if (!table.empty()) html += html_details("The numbers", table);
  return html + "</figure>\n";
}

ChartAxes::ChartAxes(const ChartOptions& options, ChartBounds x_bounds, ChartBounds y_bounds)
    : x(x_bounds.low, x_bounds.high, left_margin(options, y_bounds), kRight),
      y(y_bounds.low, y_bounds.high, kBottom, kTop, options.y_log),
      left(left_margin(options, y_bounds)),
      right(kRight),
      top(kTop),
      bottom(kBottom) {
  const auto y_ticks = y.ticks(5), x_ticks = x.ticks(5);
  const auto y_labels = y.labels(y_ticks), x_labels = x.labels(x_ticks);
  for (size_t i = 0; i < y_ticks.size(); ++i)
    drawing += fmt::format(
        "<path class=\"rule\" d=\"M{0} {1}H{2}\"/><text x=\"{3}\" y=\"{4}\" text-anchor=\"end\">{5}</text>\n",
        coordinate(left), coordinate(y.at(y_ticks[i])), coordinate(right), coordinate(left - 6),
        coordinate(y.at(y_ticks[i]) + 4), y_labels[i]);
  for (size_t i = 0; i < x_ticks.size(); ++i)
    drawing += fmt::format(
        "<path class=\"axis\" d=\"M{0} {1}v4\"/><text x=\"{0}\" y=\"{2}\" text-anchor=\"middle\">{3}</text>\n",
        coordinate(x.at(x_ticks[i])), coordinate(bottom), coordinate(bottom + 16), x_labels[i]);
  drawing += fmt::format("<path class=\"axis\" d=\"M{0} {1}H{2}\"/>\n", coordinate(left), coordinate(bottom),
                         coordinate(right));
  drawing += fmt::format("<text x=\"0\" y=\"11\">{}</text><text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\n",
                         escape_html(options.y_label), coordinate(right), coordinate(bottom + 32),
                         escape_html(options.x_label));
}

}  // namespace winnow
