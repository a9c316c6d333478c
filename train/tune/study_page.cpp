#include <algorithm>
#include <cmath>

#include "train/report/chart.h"
#include "train/report/html.h"
#include "train/report/scale.h"
#include "train/tune/study_report.h"

namespace winnow {
namespace {

std::vector<TrialResult> of_rung(const Study& study, int64_t rung) {
  std::vector<TrialResult> list;
  for (const TrialResult& r : study.results())
    if (r.rung == rung) list.push_back(r);
  return list;
}

std::string paragraph(const std::string& text) { return fmt::format("<p>{}</p>\n", escape_html(text)); }

ChartOptions chart(std::string title, std::string explanation, std::string x, std::string y) {
  ChartOptions o;
  o.title = std::move(title);
  o.explanation = std::move(explanation);
  o.x_label = std::move(x);
  o.y_label = std::move(y);
  return o;
}

// The trials as dots.
ChartSeries dots(std::string name, int colour) {
  ChartSeries s;
  s.name = std::move(name);
  s.colour = colour;
  s.dots = true;
  s.line = false;
  return s;
}

std::string grid(const std::string& charts) {
  return charts.empty() ? "" : "<div class=\"grid\">\n" + charts + "</div>\n";
}

std::string summary(const Study& study) {
  const StudyOptions& o = study.options();
  const auto failed = std::ranges::count_if(study.results(), &TrialResult::failed);
  std::string text =
      fmt::format("{} trials chosen by {}, judged by {} ({} is better) on {}; {} failed.", of_rung(study, 0).size(),
                  o.method == "tpe" ? "a tree-structured Parzen estimator" : o.method, study.metric(),
                  study.higher_is_better() ? "higher" : "lower",
                  o.folds > 1 ? fmt::format("{} folds", o.folds) : "the validation split", failed);
  text += " The test split was never scored.";
  const TrialResult* best = study.best();
  if (best == nullptr) return paragraph(text);
  HtmlTable table(fmt::format("The best trial: {}, {} {:.5f}{}", best->trial, study.metric(), best->mean(),
                              o.folds > 1 ? fmt::format(" +- {:.5f}", best->deviation()) : ""),
                  {"key", "value"});
  table.text_columns(2);
  for (const Dimension& d : study.space().dimensions())
    table.row({escape_html(d.key), escape_html(value_of(*best, d.key))});
  return paragraph(text) + table.str();
}

std::string history(const Study& study) {
  ChartSeries each = dots("each trial", 2), best;
  best.name = "best so far";
  for (const TrialResult& r : of_rung(study, 0)) {
    const auto x = static_cast<double>(r.trial);
    if (!r.failed()) each.points.push_back({x, r.mean()});
    const double before =
        best.points.empty() ? (study.higher_is_better() ? -INFINITY : INFINITY) : best.points.back().y;
    const double now = r.failed()                 ? before
                       : study.higher_is_better() ? std::max(before, r.mean())
                                                  : std::min(before, r.mean());
    if (std::isfinite(now)) best.points.push_back({x, now});
  }
  return line_chart(chart("History",
                          "The result of each trial in the order in which they were proposed, and the best "
                          "until then. Trials that failed are left out.",
                          "trial", study.metric()),
                    {each, best});
}

// Successive halving: the results of the trials as their budget grew.
std::string rungs(const Study& study) {
  const TrialResult* best = study.best();
  if (best == nullptr || best->rung == 0) return "";
  ChartSeries winner = dots(fmt::format("trial {}", best->trial), 1), others = dots("other trials", 2);
  winner.line = true;
  for (const TrialResult& r : study.results())
    if (!r.failed())
      (r.trial == best->trial ? winner : others).points.push_back({static_cast<double>(r.budget), r.mean()});
  return line_chart(chart("Budget", "Every trial of every rung by the epochs or steps that it was trained for.",
                          "budget", study.metric()),
                    {others, winner});
}

std::string scatter(const Study& study, size_t dimension) {
  const Dimension& d = study.space().dimensions()[dimension];
  const bool log = d.kind == Dimension::LogUniform || d.kind == Dimension::IntLog;
  ChartSeries points = dots(d.key, 1);
  for (const TrialResult& r : of_rung(study, 0)) {
    const double value = study.point_of(r)[dimension];
    if (!r.failed() && !std::isnan(value)) points.points.push_back({log ? std::log10(value) : value, r.mean()});
  }
  std::string explanation = "Each trial by the value that it had.";
  if (d.kind == Dimension::Choice)
    for (size_t i = 0; i < d.choices.size(); ++i) explanation += fmt::format(" {}: {}.", i, d.choices[i]);
  return line_chart(
      chart(d.key, explanation, (log ? "log10 of " : "") + short_name(study.space(), d.key), study.metric()), {points});
}

std::string importance(const Study& study) {
  const auto shares = study.importance();
  std::vector<ChartRow> rows;
  for (size_t d = 0; d < shares.size(); ++d)
    rows.push_back({study.space().dimensions()[d].key, percent(shares[d].share), shares[d].share, std::nullopt, 1});
  std::ranges::stable_sort(rows, std::ranges::greater{}, &ChartRow::value);
  return bar_chart(chart("Importance",
                         "The share of the variance of the trials' ranks that each key explains alone, what "
                         "chance explains taken out (epsilon squared of Kruskal and Wallis). Keys that only "
                         "matter together show less than they are worth; with few trials the shares are rough.",
                         "share", ""),
                   rows);
}

std::string all_trials(const Study& study) {
  std::vector<std::string> headings = {"trial", study.metric()};
  if (study.options().folds > 1) headings.emplace_back("std");
  if (study.options().method == "halving") headings.emplace_back("budget");
  for (const Dimension& d : study.space().dimensions()) headings.push_back(short_name(study.space(), d.key));
  headings.emplace_back("failed with");
  HtmlTable table("All trials, best first", headings);
  for (const TrialResult& r : study.ranked()) {
    std::vector<std::string> cells = {fmt::format("{}", r.trial),
                                      r.failed() ? "failed" : fmt::format("{:.5f}", r.mean())};
    if (study.options().folds > 1) cells.push_back(r.failed() ? "" : fmt::format("{:.5f}", r.deviation()));
    if (study.options().method == "halving") cells.push_back(fmt::format("{}", r.budget));
    for (const Dimension& d : study.space().dimensions()) cells.push_back(escape_html(value_of(r, d.key)));
    cells.push_back(escape_html(r.error));
    table.row(std::move(cells));
  }
  return table.str(500, "trials.jsonl");
}

}  // namespace

std::string study_page(const Study& study) {
  std::string scatters;
  for (size_t d = 0; d < study.space().dimensions().size(); ++d) scatters += scatter(study, d);
  std::string body = fmt::format("<h1>Search over {} keys</h1>\n", study.space().dimensions().size());
  body += html_section("summary", "Result", summary(study));
  body += html_section("history", "How it went", grid(history(study) + rungs(study)));
  body += html_section("importance", "What mattered", importance(study));
  body += html_section("keys", "The result over each key", grid(scatters));
  body += html_section("trials", "Trials", all_trials(study));
  return html_page("Winnow: search over " + std::to_string(study.space().dimensions().size()) + " keys", body);
}

}  // namespace winnow
