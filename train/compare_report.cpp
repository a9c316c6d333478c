// A comparison of runs as a text for people and as JSON.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "train/compare.h"

namespace winnow {
namespace {

using Json = nlohmann::json;

std::string trimmed(const std::string& line) { return line.substr(0, line.find_last_not_of(' ') + 1) + "\n"; }

Json interval_json(double low, double high) { return std::isnan(low) ? Json(nullptr) : Json{low, high}; }

size_t width_of(const Comparison& c) {
  size_t width = 3;
  for (const ComparedRun& r : c.runs) width = std::max(width, r.run.size());
  return width;
}

std::string run_table(const Comparison& c, size_t width) {
  std::string line = fmt::format("{:<{}}  {:<12}", "run", width, "model");
  for (const std::string& metric : c.metrics) line += fmt::format("  {:<27}", metric);
  std::string text = trimmed(line);
  for (size_t i = 0; i < c.runs.size(); ++i) {
    line = fmt::format("{:<{}}  {:<12}", c.runs[i].run, width, c.runs[i].model);
    for (size_t m = 0; m < c.metrics.size(); ++m) {
      const MetricValue& v = c.runs[i].metrics[m];
      std::string cell = v.value ? fmt::format("{:.5f}", *v.value) : "undefined";
      if (!std::isnan(v.low)) cell += fmt::format(" [{:.5f}, {:.5f}]", v.low, v.high);
      if (c.best[m] == static_cast<int>(i)) cell += " *";
      line += fmt::format("  {:<27}", cell);
    }
    text += trimmed(line);
  }
  return text;
}

std::string pair_table(const Comparison& c, size_t width) {
  std::string text = trimmed(fmt::format("{:<8}  {:<9}  {:<{}}  {:<{}}  {:<32}  {:<9}  {:<9}", "metric", "test", "a",
                                         width, "b", width, "a - b", "p", "Holm's p"));
  for (const ComparedPair& p : c.pairs) {
    std::string difference = p.difference ? fmt::format("{:+.5f}", *p.difference) : "undefined: " + p.reason;
    if (!std::isnan(p.interval.low)) difference += fmt::format(" [{:+.5f}, {:+.5f}]", p.interval.low, p.interval.high);
    text += trimmed(fmt::format("{:<8}  {:<9}  {:<{}}  {:<{}}  {:<32}  {:<9.3g}  {:<9.3g}  {}", p.metric, p.test,
                                c.runs[p.a].run, width, c.runs[p.b].run, width, difference, p.p_value, p.p_holm,
                                p.significant ? "significant" : ""));
  }
  return text;
}

}  // namespace

std::string Comparison::str() const {
  const size_t width = width_of(*this);
  std::string text =
      fmt::format("{} runs on the same {} rows of the {} split, 95 % bootstrap intervals; * is the best\n", runs.size(),
                  rows, split);
  text += run_table(*this, width);
  for (const ComparedRun& r : runs) {
    if (!r.auc_delong) break;
    if (&r == &runs.front()) text += "DeLong's 95 % intervals of the AUC\n";
    text += fmt::format("{:<{}}  [{:.5f}, {:.5f}]\n", r.run, width, r.auc_delong->low, r.auc_delong->high);
  }
  text += fmt::format("differences ({} paired resamples; significant: Holm's p < {})\n", resamples, level);
  text += pair_table(*this, width);
  return note.empty() ? text : text + note + "\n";
}

std::string Comparison::json() const {
  Json j{{"split", split}, {"rows", rows}, {"resamples", resamples}, {"level", level}, {"metrics", metrics}};
  j["runs"] = Json::array();
  for (const ComparedRun& r : runs) {
    Json run{{"run", r.run}, {"model", r.model}, {"metrics", Json::object()}};
    for (const MetricValue& v : r.metrics) {
      Json entry{{"value", v.value ? Json(*v.value) : Json(nullptr)}, {"interval95", interval_json(v.low, v.high)}};
      if (!v.reason.empty()) entry["reason"] = v.reason;
      if (v.name == "auc" && r.auc_delong) entry["delong95"] = {r.auc_delong->low, r.auc_delong->high};
      run["metrics"][v.name] = std::move(entry);
    }
    j["runs"].push_back(std::move(run));
  }
  for (size_t m = 0; m < metrics.size(); ++m)
    j["best"][metrics[m]] = best[m] < 0 ? Json(nullptr) : Json(runs[static_cast<size_t>(best[m])].run);
  j["pairs"] = Json::array();
  for (const ComparedPair& p : pairs) {
    Json pair{{"a", runs[p.a].run},
              {"b", runs[p.b].run},
              {"metric", p.metric},
              {"test", p.test},
              {"difference", p.difference ? Json(*p.difference) : Json(nullptr)},
              {"interval95", interval_json(p.interval.low, p.interval.high)},
              {"p_value", p.p_value},
              {"p_holm", p.p_holm},
              {"significant", p.significant}};
    if (!p.reason.empty()) pair["reason"] = p.reason;
    j["pairs"].push_back(std::move(pair));
  }
  if (!note.empty()) j["note"] = note;
  return j.dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace winnow
