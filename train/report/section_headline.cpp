#include <algorithm>

#include "train/report/html.h"
#include "train/report/metric_table.h"
#include "train/report/scale.h"
#include "train/report/sections.h"

namespace winnow {
namespace {

// The value of a key that stands alone on a line of the config, such as "path:" under "data:"; for headings only.
std::string config_value(const std::string& yaml, const std::string& section, const std::string& key) {
  bool inside = false;
  for (size_t begin = 0; begin < yaml.size();) {
    const size_t end = std::min(yaml.find('\n', begin), yaml.size());
    const std::string line = yaml.substr(begin, end - begin);
    begin = end + 1;
    if (!line.empty() && line[0] != ' ' && line[0] != '#') inside = line.starts_with(section + ":");
    const std::string start = "  " + key + ": ";
    if (!inside || !line.starts_with(start)) continue;
    std::string value = line.substr(start.size());
    if (value.size() > 1 && value.front() == value.back() && (value[0] == '"' || value[0] == '\''))
      value = value.substr(1, value.size() - 2);
    return value;
  }
  return "";
}

// How the model stands to a baseline, from the intervals.
std::string verdict(const MetricEntry& own, const Contestant& baseline) {
  const MetricEntry& other = *find_entry(baseline.metrics, own.name);
  const bool better = is_better(better_of(own.name), *own.value, *other.value);
  const bool apart = own.interval && other.interval &&
                     (own.interval->low > other.interval->high || own.interval->high < other.interval->low);
  const char* word = !apart ? "intervals overlap" : better ? "better" : "worse";
  const char* style = !apart ? "" : better ? "better" : "worse";
  return fmt::format("<small>best baseline {}: {}</small><small class=\"{}\">{}</small>", escape_html(baseline.name),
                     escape_html(metric_text(other)), style, word);
}

std::string tile(const std::string& metric, const std::vector<Contestant>& all) {
  if (all.empty() || !all[0].is_model) return "";
  const MetricEntry* own = find_entry(all[0].metrics, metric);
  if (own == nullptr || !own->value) return "";
  std::string html = fmt::format("<div class=\"tile\"><span>{}</span> <b>{:.4f}</b>", escape_html(metric), *own->value);
  if (own->interval)
    html += fmt::format("<small>95 % interval {:.4f} to {:.4f}; {}</small>", own->interval->low, own->interval->high,
                        better_text(better_of(metric)));
  if (const Contestant* baseline = best_baseline(all, metric)) html += verdict(*own, *baseline);
  return html + "</div>\n";
}

std::string summary(const RunFiles& files) {
  const Json none;
  const Json& evaluation = files.evaluation ? *files.evaluation : none;
  const std::string model =
      text_in(evaluation, "model").empty() ? config_value(files.config, "model", "name") : text_in(evaluation, "model");
  const std::string path = without_places(config_value(files.config, "data", "path"));
  const std::string data = path.substr(path.find_last_of('/') + 1);
  std::string text = model.empty() ? "A model" : model;
  if (!data.empty()) text += " trained on " + data;
  if (const auto rows = number_in(evaluation, "rows")) {
    const std::string split = text_in(evaluation, "split").empty() ? "test" : text_in(evaluation, "split");
    text += fmt::format(", evaluated on the {} rows of the {} split", count_text(*rows), split);
  }
  text += ".";
  double steps = 0, epochs = 0;
  for (const Json& line : files.metrics) {
    steps = std::max(steps, number_in(line, "step").value_or(0));
    if (line.contains("train_loss")) epochs = std::max(epochs, number_in(line, "epoch").value_or(0));
  }
  if (steps > 0) text += fmt::format(" {} steps in {} epochs.", count_text(steps), count_text(epochs));
  if (const auto parameters = number_in(files.memory ? *files.memory : none, "parameters"))
    text += fmt::format(" {} parameters.", count_text(*parameters));
  return "<p class=\"lead\">" + escape_html(text) + "</p>\n";
}

}  // namespace

std::string headline_section(const RunFiles& files) {
  std::string html = fmt::format("<header>\n<h1>{}</h1>\n{}</header>\n",
                                 escape_html(files.name.empty() ? "Run" : files.name), summary(files));
  if (!files.evaluation) return html;
  const auto metrics = contestants(*files.evaluation, Results::Rows),
             ranking = contestants(*files.evaluation, Results::Ranking);
  std::string tiles;
  for (const char* name : {"auc", "gauc", "accuracy", "macro_f1", "rmse", "r2", "spearman", "logloss"})
    tiles += tile(name, metrics);
  if (!ranking.empty())
    for (const MetricEntry& m : ranking[0].metrics)
      if (m.name.starts_with("ndcg@")) {
        tiles += tile(m.name, ranking);
        break;
      }
  return html + (tiles.empty() ? "" : "<div class=\"tiles\">\n" + tiles + "</div>\n");
}

}  // namespace winnow
