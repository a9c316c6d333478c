// What every chart has in common: the figure around the drawing, and the axes.
#pragma once
#include <string>
#include <vector>

#include "train/report/chart.h"
#include "train/report/scale.h"

namespace winnow {

inline constexpr double kChartWidth = 360, kChartHeight = 232;

struct LegendEntry {
  std::string name;
  int colour = 1, dash = 1;
};
// The drawing is SVG elements, the table HTML; no legend is drawn for a single entry.
std::string chart_figure(const ChartOptions& options, double height, const std::string& drawing,
                         const std::vector<LegendEntry>& legend, const std::string& table);

// The frame of a chart with two axes, its ticks, and where values lie in it.
struct ChartAxes {
  ChartAxes(const ChartOptions& options, ChartBounds x, ChartBounds y);
  Scale x, y;
  double left, right, top, bottom;
  std::string drawing;
};

std::string svg_title(const std::string& text);  // <title> of an element, escaped
std::string coordinate(double v);                // at most two decimals

}  // namespace winnow
