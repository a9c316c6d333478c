#include "train/tune/study_report.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "train/tune/importance.h"

namespace winnow {
namespace {

using Json = nlohmann::ordered_json;

std::string aligned(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths(rows[0].size());
  for (const auto& row : rows)
    for (size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], row[c].size());
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (size_t c = 0; c < row.size(); ++c) line += fmt::format("{:<{}}  ", row[c], widths[c]);
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return text;
}

}  // namespace

std::string value_of(const TrialResult& r, const std::string& key) {
  for (const std::string& set : r.sets)
    if (set.starts_with(key + "=")) return set.substr(key.size() + 1);
  return "-";
}

std::string short_name(const SearchSpace& space, const std::string& key) {
  const auto last = [](const std::string& k) { return k.substr(k.rfind('.') + 1); };
  const auto same =
      std::ranges::count_if(space.dimensions(), [&](const Dimension& d) { return last(d.key) == last(key); });
  return same == 1 ? last(key) : key;
}

std::string study_table(const Study& study, size_t rows) {
  const bool folds = study.options().folds > 1, halving = study.options().method == "halving";
  std::vector<std::vector<std::string>> table = {{"trial", study.metric()}};
  if (folds) table[0].emplace_back("std");
  if (halving) table[0].emplace_back("budget");
  for (const Dimension& d : study.space().dimensions()) table[0].push_back(short_name(study.space(), d.key));
  const auto ranked = study.ranked();
  std::string errors;
  size_t failed = 0;
  for (const TrialResult& r : ranked) {
    if (r.failed() && ++failed <= 3) errors += fmt::format("trial {} failed: {}\n", r.trial, r.error);
    if (table.size() > rows) continue;
    table.push_back({fmt::format("{}", r.trial), r.failed() ? "failed" : fmt::format("{:.5f}", r.mean())});
    auto& row = table.back();
    if (folds) row.push_back(r.failed() ? "-" : fmt::format("{:.5f}", r.deviation()));
    if (halving) row.push_back(fmt::format("{}", r.budget));
    for (const Dimension& d : study.space().dimensions()) row.push_back(value_of(r, d.key));
  }
  std::string text = aligned(table);
  if (ranked.size() > rows) text += fmt::format("and {} more in trials.jsonl\n", ranked.size() - rows);
  if (failed > 3) errors += fmt::format("and {} more that failed\n", failed - 3);
  return text + errors;
}

std::string study_json(const Study& study) {
  Json j{{"metric", study.metric()}, {"higher_is_better", study.higher_is_better()}};
  const TrialResult* best = study.best();
  j["best"] = best == nullptr ? Json(nullptr) : Json::parse(best->json());
  j["trials"] = Json::array();
  for (const TrialResult& r : study.results()) j["trials"].push_back(Json::parse(r.json()));
  j["importance"] = Json::object();
  const auto shares = study.importance();
  for (size_t d = 0; d < shares.size(); ++d) j["importance"][study.space().dimensions()[d].key] = shares[d].share;
  return j.dump(2);
}

}  // namespace winnow
