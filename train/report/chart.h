// Charts as inline SVG in a <figure>: a caption that says how to read it, a legend, tooltips (<title>), and the numbers
// as a table under <details>. The drawing is 360 units wide and scales with the page; colours come from the style
// sheet.
#pragma once
#include <optional>
#include <string>
#include <vector>

namespace winnow {

struct ChartPoint {
  double x = 0, y = 0;
  double low = 0, high = 0;  // of a series with a band
};

struct ChartSeries {
  std::string name;
  std::vector<ChartPoint> points;  // by x; those that are not finite are left out
  int colour = 1;                  // 1..6
  bool band = false;               // low..high of each point shaded
  bool dots = false;               // a mark at each point
  int dash = 1;                    // 1 solid, 2..4 dashed: told apart without colour
  bool line = true;                // false: the dots alone
};

struct ChartBounds {
  double low, high;
};

struct ChartOptions {
  std::string title, explanation;  // text
  std::string x_label, y_label;
  std::optional<ChartBounds> x_bounds, y_bounds;  // by default those of the points
  bool y_log = false;
  bool diagonal = false;  // y = x, dashed
  std::optional<double> y_reference, x_mark;
  std::string mark_text;  // beside x_mark
};

// Empty when no series has a point.
std::string line_chart(const ChartOptions& options, const std::vector<ChartSeries>& series);

// Counts in the bins between edges, one outline for each series, each scaled to shares of its own total.
struct HistogramSeries {
  std::string name;
  std::vector<double> counts;
  int colour = 1;
};
// Empty when the sizes do not fit or every count is 0.
std::string histogram_chart(const ChartOptions& options, const std::vector<double>& edges,
                            const std::vector<HistogramSeries>& series);

struct ChartRow {
  std::string name, text;  // the text stands at the end of the row: the value as people read it
  double value = 0;
  std::optional<ChartBounds> interval;
  int colour = 1;
};
// Horizontal bars from zero with whiskers. Empty without rows.
std::string bar_chart(const ChartOptions& options, const std::vector<ChartRow>& rows);
// A dot with its interval in each row, the axis around the data.
std::string interval_chart(const ChartOptions& options, const std::vector<ChartRow>& rows);

}  // namespace winnow
