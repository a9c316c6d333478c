#include <algorithm>

#include "train/report/html.h"
#include "train/report/json_access.h"
#include "train/report/scale.h"
#include "train/report/sections.h"

namespace winnow {
namespace {

// key by step of the lines that have it: points within epochs or epochs' ends.
ChartSeries series_of(const std::vector<Json>& lines, const std::string& key, const std::string& name, int colour,
                      bool epoch_ends) {
  ChartSeries s;
  s.name = name;
  s.colour = colour;
  s.dash = colour;
  s.dots = epoch_ends;
  for (const Json& line : lines) {
    if (line.contains("train_loss") != epoch_ends) continue;
    const auto step = number_in(line, "step"), value = number_in(line, key);
    if (step && value) s.points.push_back({*step, *value});
  }
  return s;
}

std::string loss_chart(const std::vector<Json>& lines) {
  ChartOptions options;
  options.title = "Loss";
  options.explanation =
      "Training loss by step, its mean over each epoch, and the validation logloss after it. Validation rising while "
      "training falls is overfitting.";
  options.x_label = "step";
  options.y_label = "loss";
  ChartSeries epochs = series_of(lines, "train_loss", "train, epoch mean", 3, true);
  ChartSeries valid = series_of(lines, "valid_logloss", "validation logloss", 2, true);
  ChartSeries steps = series_of(lines, "loss", "train", 1, false);
  return line_chart(options, {steps, epochs, valid});
}

// The step of the epoch with the best validation value; nothing without one.
std::optional<double> best_step(const std::vector<ChartPoint>& points, bool lower) {
  if (points.empty()) return std::nullopt;
  const auto best = std::ranges::max_element(points, {}, [&](const ChartPoint& p) { return lower ? -p.y : p.y; });
  return best->x;
}

std::string validation_charts(const std::vector<Json>& lines) {
  std::vector<std::string> names;
  for (const Json& line : lines)
    for (const auto& [key, value] : line.items())
      if (key.starts_with("valid_") && value.is_number() && std::ranges::find(names, key) == names.end())
        names.push_back(key);
  std::string html;
  for (const std::string& key : names) {
    const std::string metric = key.substr(6);
    if (metric == "logloss") continue;  // in the chart of the loss
    ChartOptions options;
    options.title = "Validation " + metric;
    const Better direction = better_of(metric);
    options.explanation = direction == Better::Neither ? "After each epoch."
                                                       : fmt::format("After each epoch; {}.", better_text(direction));
    options.x_label = "step";
    options.y_label = metric;
    const ChartSeries s = series_of(lines, key, metric, 1, true);
    if (direction != Better::Neither) options.x_mark = best_step(s.points, direction == Better::Lower);
    options.mark_text = "best";
    html += line_chart(options, {s});
  }
  return html;
}

std::string small_chart(const std::vector<Json>& lines, const std::string& key, const std::string& title,
                        const std::string& explanation, const std::string& unit, bool log) {
  ChartOptions options;
  options.title = title;
  options.explanation = explanation;
  options.x_label = "step";
  options.y_label = unit;
  options.y_log = log;
  return line_chart(options, {series_of(lines, key, title, 1, false)});
}

}  // namespace

std::string training_section(const RunFiles& files) {
  const auto& lines = files.metrics;
  std::string charts = loss_chart(lines) + validation_charts(lines);
  charts += small_chart(lines, "learning_rate", "Learning rate",
                        "Schedule, warm-up and plateaus together; logarithmic.", "rate", true);
  charts += small_chart(lines, "gradient_norm", "Gradient norm",
                        "Over all dense gradients, before clipping; logarithmic. Spikes are steps worth a look.",
                        "norm", true);
  charts += small_chart(lines, "rows_per_second", "Speed", "Rows that training took in, batches and steps together.",
                        "rows/s", false);
  charts += small_chart(lines, "tokens_per_second", "Speed",
                        "Tokens that training took in, batches and steps together.", "tokens/s", false);
  if (charts.empty()) return "";
  std::string html = "<div class=\"grid\">\n" + charts + "</div>\n";
  HtmlTable table("Epochs", {"epoch", "step", "train loss", "validation", "seconds"});
  for (const Json& line : lines) {
    if (!line.contains("train_loss")) continue;
    std::string valid;
    for (const auto& [key, value] : line.items())
      if (key.starts_with("valid_") && value.is_number())
        valid +=
            fmt::format("{}{} {:.5f}", valid.empty() ? "" : "<br>", escape_html(key.substr(6)), value.get<double>());
    const auto loss = number_in(line, "train_loss"), seconds = number_in(line, "seconds");
    table.row({escape_html(text_in(line, "epoch")), escape_html(text_in(line, "step")),
               loss ? fmt::format("{:.5f}", *loss) : "-", valid, seconds ? fmt::format("{:.1f}", *seconds) : "-"});
  }
  if (table.rows() > 0) html += html_details("Every epoch", table.str(500, "metrics.jsonl"));
  return html_section("training", "Training", html);
}

}  // namespace winnow
