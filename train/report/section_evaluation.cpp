#include <algorithm>
#include <cmath>

#include "train/report/html.h"
#include "train/report/metric_table.h"
#include "train/report/scale.h"
#include "train/report/sections.h"

namespace winnow {
namespace {

ChartOptions unit_square(const char* title, const char* explanation, const char* x, const char* y) {
  ChartOptions options;
  options.title = title;
  options.explanation = explanation;
  options.x_label = x;
  options.y_label = y;
  options.x_bounds = options.y_bounds = ChartBounds{0, 1};
  return options;
}

std::string roc_chart(const Json& curves) {
  ChartOptions options = unit_square("ROC",
                                     "Of the rows without and with a positive label, the shares above each threshold. "
                                     "The diagonal is guessing; the area below is the AUC.",
                                     "false positive rate", "true positive rate");
  options.diagonal = true;
  return line_chart(options, {{.name = "model", .points = pairs(member(curves, "roc"))}});
}

std::string pr_chart(const Json& curves, std::optional<double> positive_share) {
  ChartOptions options = unit_square("Precision and recall",
                                     "How many of the rows called positive are, and how many of the positives are "
                                     "found. The dashed line is guessing: the share of positives.",
                                     "recall", "precision");
  options.y_reference = positive_share;
  return line_chart(options, {{.name = "model", .points = pairs(member(curves, "pr")), .colour = 2}});
}

std::string calibration_chart(const Json& curves) {
  const Json& calibration = member(curves, "calibration");
  const Json& bins = member(calibration, "bins");
  if (!bins.is_array()) return "";
  ChartSeries s{.name = "model", .points = {}, .colour = 1, .band = true, .dots = true};
  double most = 0;
  for (const Json& bin : bins) {
    const auto x = number_in(bin, "mean_prediction"), y = number_in(bin, "rate");
    if (!x || !y) continue;
    const double low = number_in(bin, "low").value_or(*y), high = number_in(bin, "high").value_or(*y);
    s.points.push_back({*x, *y, low, high});
    most = std::max({most, *x, high});
  }
  std::ranges::sort(s.points, {}, &ChartPoint::x);
  ChartOptions options = unit_square("Calibration", "", "predicted probability", "observed rate");
  options.explanation =
      "Rows by predicted probability, and how many of them were positive, with 95 % intervals. On the diagonal a "
      "prediction can be taken at its word; below it the model promises too much.";
  if (const auto ece = number_in(calibration, "ece"))
    options.explanation += fmt::format(" Expected calibration error {:.4f}.", *ece);
  if (most > 0) options.x_bounds = options.y_bounds = ChartBounds{0, std::min(1.0, most * 1.05)};
  options.diagonal = true;
  return line_chart(options, {s});
}

std::string scores_chart(const Json& curves) {
  const Json& h = member(curves, "histogram");
  ChartOptions options;
  options.title = "Scores by label";
  options.explanation =
      "The predicted probabilities of positive and of negative rows, each as shares of its own. The less they overlap, "
      "the better the model tells them apart.";
  options.x_label = "predicted probability";
  options.y_label = "share of rows";
  return histogram_chart(
      options, numbers(member(h, "edges")),
      {{"negative", numbers(member(h, "negative")), 2}, {"positive", numbers(member(h, "positive")), 1}});
}

std::string confusion_matrix(const Json& curves) {
  const Json& c = member(curves, "confusion");
  const auto tp = number_in(c, "tp"), fp = number_in(c, "fp"), fn = number_in(c, "fn"), tn = number_in(c, "tn");
  if (!tp || !fp || !fn || !tn) return "";
  const auto cell = [](double n, double of) {
    const double share = of > 0 ? n / of : 0;
    return fmt::format("<td style=\"--share:{:.3f}\">{}<small>{}</small></td>", std::clamp(share, 0.0, 1.0),
                       short_number(n), percent(share));
  };
  const double positives = *tp + *fn, negatives = *fp + *tn;
  return fmt::format(
      "<figure>\n<figcaption><strong>Confusion matrix</strong><span>A row is called positive from a predicted "
      "probability of {} on. "
      "The shares are of the rows with that label.</span></figcaption>\n<div class=\"scroll\"><table "
      "class=\"matrix\">\n"
      "<thead><tr><th scope=\"col\">label</th><th scope=\"col\">called negative</th><th scope=\"col\">called "
      "positive</th></tr></thead>\n"
      "<tbody><tr><th scope=\"row\">negative</th>{}{}</tr>\n<tr><th "
      "scope=\"row\">positive</th>{}{}</tr></tbody></table></div>\n</figure>\n",
      number_in(c, "threshold") ? short_number(*number_in(c, "threshold")) : "the threshold", cell(*tn, negatives),
      cell(*fp, negatives), cell(*fn, positives), cell(*tp, positives));
}

std::optional<double> positive_share(const Json& curves) {
  double positive = 0, all = 0;
  for (const char* label : {"positive", "negative"})
    for (const double n : numbers(member(member(curves, "histogram"), label))) {
      all += n;
      if (label[0] == 'p') positive += n;
    }
  if (!(all > 0)) return std::nullopt;
  return positive / all;
}

// Of a run whose metrics have no AUC.
std::string text_job_charts(const Json& evaluation, const std::vector<Contestant>& all) {
  if (!member(evaluation, "job").is_string()) return "";
  std::string charts;
  for (const char* metric : {"accuracy", "macro_f1", "rmse", "mae"})
    charts += contestant_chart(metric, std::string(metric) + " beside the baselines", all);
  return charts;
}

}  // namespace

std::string evaluation_section(const RunFiles& files) {
  if (!files.evaluation) return "";
  const auto all = contestants(*files.evaluation, Results::Rows);
  const Json& curves = member(files.evaluation, "curves");
  const std::string charts = contestant_chart("auc", "auc beside the baselines", all) +
                             text_job_charts(*files.evaluation, all) + roc_chart(curves) +
                             pr_chart(curves, positive_share(curves)) + calibration_chart(curves) +
                             scores_chart(curves) + confusion_matrix(curves);
  std::string html = contestant_table("Metrics with 95 % intervals; the best of a column is bold", all);
  const auto delong = numbers(member(member(member(files.evaluation, "metrics"), "auc"), "delong95"));
  if (delong.size() == 2)
    html += fmt::format("<p class=\"note\">DeLong's 95 % interval of the AUC: {:.4f} to {:.4f}.</p>\n", delong[0],
                        delong[1]);
  if (!charts.empty()) html += "<div class=\"grid\">\n" + charts + "</div>\n";
  return html_section("evaluation", "Evaluation", html);
}

std::string ranking_section(const RunFiles& files) {
  if (!files.evaluation) return "";
  const auto all = contestants(*files.evaluation, Results::Ranking);
  if (all.empty()) return "";
  const Json& ranking = member(files.evaluation, "ranking");
  std::string html;
  if (const auto users = number_in(ranking, "users"))
    html += fmt::format(
        "<p class=\"note\">Every item that a user does not know yet is ranked, and compared with what the user really "
        "liked in the test split: {} users; {} without a positive were left out.</p>\n",
        count_text(*users), count_text(number_in(ranking, "skipped_users").value_or(0)));
  html += contestant_table("Ranking metrics with 95 % intervals; the best of a column is bold", all);
  if (const auto sampled = contestants(*files.evaluation, Results::SampledRanking); !sampled.empty()) {
    const std::string negatives = text_in(member(ranking, "sampled"), "negatives");
    html += contestant_table(fmt::format("Each positive against {} sampled items: not comparable with the full ranking",
                                         negatives.empty() ? "some" : negatives),
                             sampled);
  }
  std::string charts;
  for (const MetricEntry& m : all[0].metrics)
    if (m.name.starts_with("ndcg@") || m.name.starts_with("recall@"))
      charts += contestant_chart(m.name, m.name + " beside the baselines", all);
  if (!charts.empty()) html += "<div class=\"grid\">\n" + charts + "</div>\n";
  return html_section("ranking", "Ranking", html);
}

std::string slices_section(const RunFiles& files) {
  const Json& slices = member(files.evaluation, "slices");
  if (!slices.is_array() || slices.empty()) return "";
  std::vector<std::string> columns;
  for (const Json& s : slices)
    for (const MetricEntry& m : metric_entries(member(s, "metrics")))
      if (std::ranges::find(columns, m.name) == columns.end() && columns.size() < 12) columns.push_back(m.name);
  std::vector<std::string> headings = {"slice", "value", "rows", "positives"};
  headings.insert(headings.end(), columns.begin(), columns.end());
  HtmlTable table("Metrics of parts of the split, with 95 % intervals where there are any", headings);
  table.text_columns(2);
  for (const Json& s : slices) {
    const auto metrics = metric_entries(member(s, "metrics"));
    const auto count = [&](const char* key) {
      const auto n = number_in(s, key);
      return n ? short_number(*n) : "-";
    };
    std::vector<std::string> cells = {escape_html(text_in(s, "name")), escape_html(text_in(s, "value")), count("rows"),
                                      count("positives")};
    for (const std::string& column : columns) {
      const MetricEntry* m = find_entry(metrics, column);
      cells.push_back(metric_cell(m != nullptr ? *m : MetricEntry{}, false));
    }
    table.row(cells);
  }
  return html_section("slices", "Slices",
                      "<p class=\"note\">Where the model does better or worse than on the whole split. Small slices "
                      "have wide intervals: read them together.</p>\n" +
                          table.str(200, "evaluation.json"));
}

std::string importance_section(const RunFiles& files) {
  const Json& importance = member(files.evaluation, "importance");
  if (!importance.is_array()) return "";
  std::vector<ChartRow> rows;
  std::string metric;
  for (const Json& entry : importance) {
    const auto drop = number_in(entry, "drop");
    if (!drop) continue;
    ChartRow row{text_in(entry, "feature"), fmt::format("{:.4f}", *drop), *drop, std::nullopt, 1};
    const auto low = number_in(entry, "low"), high = number_in(entry, "high");
    if (low && high) {
      row.interval = {*low, *high};
      row.text = fmt::format("{:.4f} [{:.4f}, {:.4f}]", *drop, *low, *high);
    }
    if (metric.empty()) metric = text_in(entry, "metric");
    rows.push_back(std::move(row));
  }
  std::ranges::stable_sort(rows, [](const ChartRow& a, const ChartRow& b) { return a.value > b.value; });
  const size_t all = rows.size();
  if (rows.size() > 40) rows.resize(40);
  ChartOptions options;
  options.title = "Feature importance";
  options.explanation = fmt::format(
      "How much {} is lost when the values of one feature are shuffled among the rows, with 95 % intervals. Features "
      "that say the same share their importance.",
      metric.empty() ? "of the metric" : metric);
  if (all > rows.size()) options.explanation += fmt::format(" The {} largest of {}.", rows.size(), all);
  options.x_label = "drop of " + (metric.empty() ? std::string("the metric") : metric);
  options.y_label = "feature";
  const std::string chart = bar_chart(options, rows);
  return html_section("importance", "Features", chart.empty() ? "" : "<div class=\"grid\">\n" + chart + "</div>\n");
}

}  // namespace winnow
