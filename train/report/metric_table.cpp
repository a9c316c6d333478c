#include "train/report/metric_table.h"

#include <algorithm>

#include "train/report/html.h"

namespace winnow {
namespace {

bool better(double a, double b, const std::string& metric) { return is_better(better_of(metric), a, b); }

// In the order of the usual ones, then by name.
std::vector<std::string> columns_of(const std::vector<Contestant>& all) {
  static const std::vector<std::string> usual = {"auc", "gauc",     "pr_auc",    "logloss", "ne", "brier",
                                                 "ece", "accuracy", "precision", "recall",  "f1"};
  std::vector<std::string> names;
  for (const Contestant& c : all)
    for (const MetricEntry& m : c.metrics)
      if (std::ranges::find(names, m.name) == names.end()) names.push_back(m.name);
  const auto place = [&](const std::string& name) { return std::ranges::find(usual, name) - usual.begin(); };
  std::ranges::stable_sort(names, [&](const std::string& a, const std::string& b) { return place(a) < place(b); });
  return names;
}

}  // namespace

std::vector<Contestant> contestants(const Json& evaluation, Results which) {
  std::vector<Contestant> all;
  const Json& ranking = member(evaluation, "ranking");
  const Json& own = which == Results::Rows      ? member(evaluation, "metrics")
                    : which == Results::Ranking ? member(ranking, "metrics")
                                                : member(member(ranking, "sampled"), "metrics");
  const char* key = which == Results::Rows ? "metrics" : which == Results::Ranking ? "ranking" : "sampled_ranking";
  if (auto metrics = metric_entries(own); !metrics.empty())
    all.push_back({text_in(evaluation, "model"), metrics, true});
  const Json& baselines = member(evaluation, "baselines");
  if (!baselines.is_object()) return all;
  for (const auto& [name, entry] : baselines.items())
    if (auto metrics = metric_entries(member(entry, key)); !metrics.empty()) all.push_back({name, metrics, false});
  return all;
}

std::string contestant_table(const std::string& caption, const std::vector<Contestant>& all) {
  if (all.empty()) return "";
  const std::vector<std::string> columns = columns_of(all);
  std::vector<std::string> headings = {"model"};
  headings.insert(headings.end(), columns.begin(), columns.end());
  HtmlTable table(caption, headings);
  for (const Contestant& c : all) {
    std::vector<std::string> cells = {c.is_model ? "<span class=\"best\">" + escape_html(c.name) + "</span>"
                                                 : escape_html(c.name)};
    for (const std::string& column : columns) {
      const MetricEntry* m = find_entry(c.metrics, column);
      const bool best = m != nullptr && m->value && better_of(column) != Better::Neither &&
                        std::ranges::none_of(all, [&](const Contestant& other) {
                          const MetricEntry* o = find_entry(other.metrics, column);
                          return o != nullptr && o->value && better(*o->value, *m->value, column);
                        });
      cells.push_back(metric_cell(m != nullptr ? *m : MetricEntry{}, best));
    }
    table.row(cells);
  }
  return table.str();
}

std::string contestant_chart(const std::string& metric, const std::string& title, const std::vector<Contestant>& all) {
  std::vector<ChartRow> rows;
  for (const Contestant& c : all)
    if (const MetricEntry* m = find_entry(c.metrics, metric); m != nullptr && m->value)
      rows.push_back({c.name, metric_text(*m), *m->value, m->interval, c.is_model ? 1 : 5});
  if (rows.size() < 2) return "";
  ChartOptions options;
  options.title = title;
  const std::string direction = better_text(better_of(metric));
  options.explanation = "Dots with 95 % intervals" + (direction.empty() ? "." : "; " + direction + ".");
  options.x_label = metric;
  options.y_label = "model";
  return interval_chart(options, rows);
}

const Contestant* best_baseline(const std::vector<Contestant>& all, const std::string& metric) {
  const Contestant* best = nullptr;
  double value = 0;
  for (const Contestant& c : all) {
    const MetricEntry* m = find_entry(c.metrics, metric);
    if (c.is_model || better_of(metric) == Better::Neither || m == nullptr || !m->value ||
        (best != nullptr && !better(*m->value, value, metric)))
      continue;
    best = &c;
    value = *m->value;
  }
  return best;
}

}  // namespace winnow
