#include "train/report/compare_report.h"

#include <algorithm>
#include <filesystem>

#include "core/error.h"
#include "train/report/html.h"
#include "train/report/metric_table.h"
#include "train/report/run_files.h"
#include "train/report/scale.h"
#include "train/report/sections.h"

namespace winnow {
namespace {

struct Compared {
  std::string path, name;  // as given; as shown
  RunFiles files;
  int colour = 1, dash = 1;
};

// The last parts of a path.
std::string tail_of(const std::string& path, int parts) {
  std::filesystem::path p = std::filesystem::path(path + "/.").lexically_normal().parent_path(), tail;
  for (int i = 0; i < parts && p.has_filename(); ++i, p = p.parent_path())
    tail = tail.empty() ? p.filename() : p.filename() / tail;
  return tail.empty() ? path : tail.string();
}

// As short as tells them apart: two runs may be called "best" in folders of other names.
std::vector<std::string> short_names(const std::vector<std::string>& paths) {
  for (int parts = 1; parts < 8; ++parts) {
    std::vector<std::string> names, sorted;
    for (const std::string& path : paths) names.push_back(tail_of(path, parts));
    sorted = names;
    std::ranges::sort(sorted);
    if (std::ranges::adjacent_find(sorted) == sorted.end()) return names;
  }
  return paths;
}

std::vector<Compared> read_runs(const std::vector<std::string>& directories) {
  const auto names = short_names(directories);
  std::vector<Compared> runs;
  for (size_t i = 0; i < directories.size(); ++i)
    runs.push_back({directories[i], names[i], read_run_files(directories[i]), static_cast<int>(i % 6) + 1,
                    static_cast<int>(i % 4) + 1});
  return runs;
}

std::string name_of_run(const std::vector<Compared>& runs, const std::string& path) {
  const auto found = std::ranges::find(runs, path, &Compared::path);
  return found == runs.end() ? path : found->name;
}

std::vector<Contestant> results(const Json& comparison, const std::vector<Compared>& runs) {
  std::vector<Contestant> all;
  const Json& list = member(comparison, "runs");
  if (!list.is_array()) return all;
  for (const Json& run : list) {
    const std::string model = text_in(run, "model"), name = name_of_run(runs, text_in(run, "run"));
    all.push_back({model.empty() ? name : name + " (" + model + ")", metric_entries(member(run, "metrics")), true});
  }
  return all;
}

std::string pairs_table(const Json& comparison, const std::vector<Compared>& runs) {
  const Json& pairs = member(comparison, "pairs");
  if (!pairs.is_array() || pairs.empty()) return "";
  HtmlTable table("Differences between runs on the same rows, with 95 % intervals",
                  {"a", "b", "metric", "test", "a - b", "p", "p after Holm", ""});
  table.text_columns(4);
  for (const Json& p : pairs) {
    const auto difference = number_in(p, "difference");
    const auto bounds = numbers(member(p, "interval95"));
    std::string cell =
        difference ? fmt::format("{:+.5f}", *difference) : "undefined: " + escape_html(text_in(p, "reason"));
    if (bounds.size() == 2) cell += fmt::format("<small>{:+.5f} to {:+.5f}</small>", bounds[0], bounds[1]);
    const auto probability = [&](const char* key) {
      const auto v = number_in(p, key);
      return v ? fmt::format("{:.3g}", *v) : std::string("-");
    };
    const Json& significant = member(p, "significant");
    table.row({escape_html(name_of_run(runs, text_in(p, "a"))), escape_html(name_of_run(runs, text_in(p, "b"))),
               escape_html(text_in(p, "metric")), escape_html(text_in(p, "test")), cell, probability("p_value"),
               probability("p_holm"),
               significant.is_boolean() && significant.get<bool>() ? "<span class=\"best\">significant</span>" : "no"});
  }
  std::string html = table.str(500, "winnow compare --json");
  const auto level = number_in(comparison, "level"), resamples = number_in(comparison, "resamples");
  html +=
      fmt::format("<p class=\"note\">Significant: p below {} after Holm's correction for the number of pairs.{}</p>\n",
                  level ? short_number(*level) : "the level",
                  resamples ? fmt::format(" {} paired resamples.", count_text(*resamples)) : "");
  return html;
}

ChartSeries series(const Compared& run, std::vector<ChartPoint> points, bool dots = false) {
  ChartSeries s;
  s.name = run.name;
  s.points = std::move(points);
  s.colour = run.colour;
  s.dash = run.dash;
  s.dots = dots;
  return s;
}

std::string curve_charts(const std::vector<Compared>& runs) {
  std::vector<ChartSeries> roc, pr, calibration;
  for (const Compared& run : runs) {
    const Json& curves = member(run.files.evaluation, "curves");
    roc.push_back(series(run, pairs(member(curves, "roc"))));
    pr.push_back(series(run, pairs(member(curves, "pr"))));
    std::vector<ChartPoint> bins;
    if (const Json& list = member(member(curves, "calibration"), "bins"); list.is_array())
      for (const Json& bin : list)
        if (const auto x = number_in(bin, "mean_prediction"), y = number_in(bin, "rate"); x && y)
          bins.push_back({*x, *y});
    std::ranges::sort(bins, {}, &ChartPoint::x);
    calibration.push_back(series(run, bins, true));
  }
  ChartOptions options;
  options.x_bounds = options.y_bounds = ChartBounds{0, 1};
  options.title = "ROC";
  options.explanation = "The higher, the better; the diagonal is guessing.";
  options.x_label = "false positive rate";
  options.y_label = "true positive rate";
  options.diagonal = true;
  std::string html = line_chart(options, roc);
  options.title = "Precision and recall";
  options.explanation = "The higher, the better.";
  options.x_label = "recall";
  options.y_label = "precision";
  options.diagonal = false;
  html += line_chart(options, pr);
  options.x_bounds = options.y_bounds = std::nullopt;
  options.title = "Calibration";
  options.explanation = "The nearer to the diagonal, the better.";
  options.x_label = "predicted probability";
  options.y_label = "observed rate";
  options.diagonal = true;
  return html + line_chart(options, calibration);
}

// A value of metrics.jsonl by step, for every run.
std::string course_chart(const std::vector<Compared>& runs, const std::string& key, const std::string& title,
                         const std::string& explanation, const std::string& unit, bool epoch_ends) {
  std::vector<ChartSeries> all;
  for (const Compared& run : runs) {
    std::vector<ChartPoint> points;
    for (const Json& line : run.files.metrics) {
      const auto step = number_in(line, "step"), value = number_in(line, key);
      if (line.contains("train_loss") == epoch_ends && step && value) points.push_back({*step, *value});
    }
    all.push_back(series(run, points, epoch_ends));
  }
  ChartOptions options;
  options.title = title;
  options.explanation = explanation;
  options.x_label = "step";
  options.y_label = unit;
  return line_chart(options, all);
}

std::string config_differences(const std::vector<Compared>& runs) {
  std::string html;
  for (const Compared& run : runs)
    if (!run.files.config.empty())
      html +=
          html_details(run.name, "<pre tabindex=\"0\">" + escape_html(without_places(run.files.config)) + "</pre>\n");
  return html;
}

std::string in_grid(const std::string& charts) {
  return charts.empty() ? "" : "<div class=\"grid\">\n" + charts + "</div>\n";
}

}  // namespace

std::string render_compare(const std::vector<std::string>& run_directories, const std::string& comparison_json) {
  const Json comparison = Json::parse(comparison_json, nullptr, false);
  WN_CHECK(comparison.is_object(), DataError,
           "the comparison is no JSON object; give what winnow compare --json prints");
  const std::vector<Compared> runs = read_runs(run_directories);
  const std::vector<Contestant> all = results(comparison, runs);
  std::string intervals;
  if (!all.empty())
    for (const MetricEntry& m : all[0].metrics) intervals += contestant_chart(m.name, m.name + " by run", all);
  std::string lead = fmt::format("{} runs", runs.size());
  if (const auto rows = number_in(comparison, "rows"))
    lead += fmt::format(" on the same {} rows of the {} split", count_text(*rows), text_in(comparison, "split"));
  std::string body =
      fmt::format("<header>\n<h1>Comparison</h1>\n<p class=\"lead\">{}.</p>\n</header>\n<main>\n", escape_html(lead));
  if (const std::string note = text_in(comparison, "note"); !note.empty())
    body += "<div class=\"warn\" role=\"note\"><p>" + escape_html(note) + "</p></div>\n";
  body += html_section(
      "metrics", "Metrics",
      contestant_table("Metrics with 95 % intervals; the best of a column is bold", all) + in_grid(intervals));
  body += html_section("differences", "Differences", pairs_table(comparison, runs));
  body += html_section("curves", "Curves", in_grid(curve_charts(runs)));
  body += html_section(
      "training", "Training",
      in_grid(course_chart(runs, "loss", "Training loss", "By step.", "loss", false) +
              course_chart(runs, "valid_logloss", "Validation logloss", "After each epoch; lower is better.", "logloss",
                           true) +
              course_chart(runs, "valid_auc", "Validation auc", "After each epoch; higher is better.", "auc", true) +
              course_chart(runs, "rows_per_second", "Speed", "Rows that training took in.", "rows/s", false) +
              course_chart(runs, "tokens_per_second", "Speed", "Tokens that training took in.", "tokens/s", false)));
  body += html_section("configs", "Configs", config_differences(runs));
  return html_page("Winnow comparison", body + "</main>\n");
}

}  // namespace winnow
