// What the evaluation of a text job holds beyond metrics: classes, confused pairs, abstention, deciles of values.
#include <algorithm>

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

std::string share(const Json& object, const char* key) {
  const auto n = number_in(object, key);
  return n ? fmt::format("{:.4f}", *n) : "-";
}

std::string class_table(const Json& evaluation) {
  const Json& classes = member(evaluation, "classes");
  if (!classes.is_array() || classes.empty()) return "";
  std::vector<const Json*> sorted;
  for (const Json& c : classes) sorted.push_back(&c);
  std::ranges::stable_sort(sorted, {}, [](const Json* c) { return number_in(*c, "f1").value_or(0); });
  HtmlTable table("Classes, the weakest first", {"class", "rows", "predicted", "precision", "recall", "f1"});
  for (const Json* c : sorted)
    table.row({escape_html(text_in(*c, "name")), count(*c, "rows"), count(*c, "predicted"), share(*c, "precision"),
               share(*c, "recall"), share(*c, "f1")});
  return table.str(400, "evaluation.json");
}

std::string confused_table(const Json& evaluation) {
  const Json& pairs = member(evaluation, "confused");
  if (!pairs.is_array() || pairs.empty()) return "";
  HtmlTable table("Classes that are taken for others most often", {"label", "called", "rows", "of"});
  table.text_columns(2);
  for (const Json& p : pairs)
    table.row(
        {escape_html(text_in(p, "label")), escape_html(text_in(p, "predicted")), count(p, "rows"), count(p, "of")});
  return table.str();
}

std::string abstention(const Json& evaluation) {
  const Json& a = member(evaluation, "out_of_scope");
  if (!a.is_object()) return "";
  return fmt::format(
      "<p class=\"note\">Out of scope ({}): of {} rows {} are recognised by a highest probability below {}; AUC of "
      "that "
      "probability {}. With abstention {} of the rows in scope and {} of all rows are answered rightly.</p>\n",
      escape_html(text_in(a, "label")), count(a, "rows"), share(a, "recall"), share(a, "threshold"), share(a, "auc"),
      share(a, "accuracy_in_scope"), share(a, "accuracy_all"));
}

std::string decile_chart(const Json& evaluation) {
  const Json& deciles = member(evaluation, "deciles");
  if (!deciles.is_array()) return "";
  ChartSeries s{.name = "model", .points = {}, .band = true, .dots = true};
  for (const Json& d : deciles) {
    const auto x = number_in(d, "mean_prediction"), y = number_in(d, "mean_value");
    if (x && y) s.points.push_back({*x, *y, number_in(d, "low").value_or(*y), number_in(d, "high").value_or(*y)});
  }
  ChartOptions options;
  options.title = "Calibration by decile";
  options.explanation =
      "Rows in ten parts by prediction: the mean of what was predicted and of what was there, with 95 % intervals. On "
      "the "
      "diagonal predictions are right on average.";
  options.x_label = "mean prediction";
  options.y_label = "mean value";
  options.diagonal = true;
  return line_chart(options, {s});
}

}  // namespace

std::string classes_section(const RunFiles& files) {
  if (!files.evaluation) return "";
  return html_section(
      "classes", "Classes",
      abstention(*files.evaluation) + confused_table(*files.evaluation) + class_table(*files.evaluation));
}

std::string values_section(const RunFiles& files) {
  const std::string chart = files.evaluation ? decile_chart(*files.evaluation) : "";
  return html_section("values", "Values", chart.empty() ? "" : "<div class=\"grid\">\n" + chart + "</div>\n");
}

}  // namespace winnow
