// The evaluation of a matching model as a text for people and as JSON.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "train/evaluation_text.h"
#include "train/match/evaluate.h"

namespace winnow {
namespace {

using Json = nlohmann::json;

std::string trimmed(const std::string& line) { return line.substr(0, line.find_last_not_of(' ') + 1) + "\n"; }

std::string table_row(const std::string& name, const RankingResult& ranking, const std::vector<std::string>& columns) {
  std::string row = fmt::format("{:<12}", name);
  for (const std::string& column : columns) { row += fmt::format("  {:<24}", metric_cell(ranking.metrics, column)); }
  return trimmed(row);
}

std::string headings(const std::vector<std::string>& columns) {
  std::string row = fmt::format("{:<12}", "");
  for (const std::string& column : columns) row += fmt::format("  {:<24}", column);
  return trimmed(row);
}

}  // namespace

std::string MatchReport::str() const {
  std::string text = fmt::format(
      "{} split, {} pairs, {} queries ({} without an item to find), {} items ranked, 95 % bootstrap intervals\n",
      name_of(split), rows, ranking.users, ranking.skipped_users, items);
  std::vector<std::string> names;
  for (const MetricValue& m : ranking.metrics)
    if (!m.name.starts_with("gini") && !m.name.starts_with("precision")) names.push_back(m.name);
  for (size_t i = 0; i < names.size(); i += 3) {
    const std::vector<std::string> columns(names.begin() + static_cast<int64_t>(i),
                                           names.begin() + static_cast<int64_t>(std::min(i + 3, names.size())));
    text += headings(columns) + table_row(model, ranking, columns);
    for (const Row& b : baselines) text += table_row(b.name, b.ranking, columns);
    for (const Prefix& p : prefixes) text += table_row(fmt::format("first {}", p.dims), p.ranking, columns);
  }
  if (spearman) text += "cosine and strength: " + spearman->str() + "\n";
  return text;
}

std::string MatchReport::json() const {
  Json j{{"model", model},
         {"split", name_of(split)},
         {"rows", rows},
         {"items", items},
         {"metrics", spearman ? metrics_json({*spearman}) : Json::object()},
         {"ranking",
          {{"users", ranking.users},
           {"skipped_users", ranking.skipped_users},
           {"metrics", metrics_json(ranking.metrics)}}}};
  for (const Row& b : baselines) j["baselines"][b.name]["ranking"] = metrics_json(b.ranking.metrics);
  for (const Prefix& p : prefixes)
    j["matryoshka"].push_back({{"dims", p.dims}, {"metrics", metrics_json(p.ranking.metrics)}});
  return j.dump(2);
}

void save_evaluation(const std::string& directory, const MatchReport& report) {
  write_atomically(directory + "/evaluation.json", report.json() + "\n");
}

}  // namespace winnow
