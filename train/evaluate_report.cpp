// An evaluation as a text for people and as JSON.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/text.h"
#include "train/evaluate.h"
#include "train/evaluation_text.h"

namespace winnow {
namespace {

using Json = nlohmann::json;

std::string table_row(const std::string& name, const std::vector<MetricValue>& metrics,
                      const std::vector<std::string>& columns) {
  std::string row = fmt::format("{:<12}", name);
  for (const std::string& column : columns) { row += fmt::format("  {:<24}", metric_cell(metrics, column)); }
  return row.substr(0, row.find_last_not_of(' ') + 1) + "\n";
}

// Which metrics of a model and its baselines a table shows.
using Pick = std::vector<MetricValue> (*)(const std::vector<MetricValue>& metrics,
                                          const std::optional<RankingResult>& ranking);
std::vector<MetricValue> of_rows(const std::vector<MetricValue>& metrics, const std::optional<RankingResult>&) {
  return metrics;
}
std::vector<MetricValue> of_ranking(const std::vector<MetricValue>&, const std::optional<RankingResult>& ranking) {
  return ranking ? ranking->metrics : std::vector<MetricValue>{};
}
std::vector<MetricValue> of_sampled(const std::vector<MetricValue>&, const std::optional<RankingResult>& ranking) {
  return ranking ? ranking->sampled : std::vector<MetricValue>{};
}

std::string table(const EvaluationReport& report, const std::vector<std::string>& columns, Pick pick) {
  std::string text = fmt::format("{:<12}", "");
  for (const std::string& column : columns) text += fmt::format("  {:<24}", column);
  text = text.substr(0, text.find_last_not_of(' ') + 1) + "\n";
  text += table_row(report.model, pick(report.metrics, report.ranking), columns);
  for (const BaselineReport& b : report.baselines) {
    const auto metrics = pick(b.metrics, b.ranking);
    if (!metrics.empty()) text += table_row(b.name, metrics, columns);
  }
  return text;
}

// All that `pick` gives, three columns at a time.
std::string tables(const EvaluationReport& report, Pick pick) {
  std::vector<std::string> names;
  for (const MetricValue& m : pick(report.metrics, report.ranking)) names.push_back(m.name);
  std::string text;
  for (size_t i = 0; i < names.size(); i += 3)
    text += table(
        report,
        {names.begin() + static_cast<int64_t>(i), names.begin() + static_cast<int64_t>(std::min(i + 3, names.size()))},
        pick);
  return text;
}

std::string slice_table(const std::vector<SliceReport>& slices) {
  std::string text = fmt::format("{:<36}  {:>8}  {:>9}", "slice", "rows", "positives");
  for (const char* column : {"auc", "ne", "copc"}) text += fmt::format("  {:<24}", column);
  text = text.substr(0, text.find_last_not_of(' ') + 1) + "\n";
  for (const SliceReport& s : slices) {
    std::string row = table_row("", s.metrics, {"auc", "ne", "copc"});
    text += fmt::format("{:<36}  {:>8}  {:>9}{}", s.name + " " + quoted(s.value, 24), s.rows, s.positives,
                        row.size() > 13 ? row.substr(12) : row);
  }
  return text;
}

std::string importance_table(const Importance& importance) {
  std::string text = fmt::format("AUC lost when a feature is permuted among {} rows\n", importance.rows);
  if (!importance.reason.empty()) return text + "undefined: " + importance.reason + "\n";
  for (const FeatureImportance& f : importance.features) {
    text += fmt::format("{:<20}  {:>8.4f}", f.feature, f.drop);
    if (!std::isnan(f.low)) text += fmt::format(" [{:.4f}, {:.4f}]", f.low, f.high);
    text += "\n";
  }
  return text;
}

Json json_of(const Curves& c) {
  Json bins = Json::array();
  for (const CalibrationBin& b : c.calibration.bins)
    bins.push_back({{"mean_prediction", b.mean_prediction},
                    {"rate", b.rate},
                    {"low", b.low},
                    {"high", b.high},
                    {"weight", b.weight},
                    {"rows", b.rows}});
  const auto& h = c.histogram;
  const auto& m = c.confusion;
  return {{"roc", c.roc},
          {"pr", c.pr},
          {"calibration", {{"ece", c.calibration.ece}, {"binning", "equal_mass"}, {"bins", bins}}},
          {"histogram", {{"edges", h.edges}, {"positive", h.positive}, {"negative", h.negative}}},
          {"confusion", {{"threshold", m.threshold}, {"tp", m.tp}, {"fp", m.fp}, {"fn", m.fn}, {"tn", m.tn}}}};
}

Json json_of(const std::vector<SliceReport>& slices) {
  Json list = Json::array();
  for (const SliceReport& s : slices)
    list.push_back({{"name", s.name},
                    {"value", s.value},
                    {"rows", s.rows},
                    {"positives", s.positives},
                    {"metrics", metrics_json(s.metrics)}});
  return list;
}

Json json_of(const Importance& importance) {
  Json list = Json::array();
  for (const FeatureImportance& f : importance.features) {
    Json entry{{"feature", f.feature}, {"metric", "auc"}, {"drop", f.drop}, {"low", nullptr}, {"high", nullptr}};
    if (!std::isnan(f.low)) {
      entry["low"] = f.low;
      entry["high"] = f.high;
    }
    list.push_back(std::move(entry));
  }
  return list;
}

Json json_of(const RankingResult& r, int64_t sampled_negatives) {
  Json j{{"users", r.users}, {"skipped_users", r.skipped_users}, {"metrics", metrics_json(r.metrics)}};
  if (!r.sampled.empty()) j["sampled"] = {{"negatives", sampled_negatives}, {"metrics", metrics_json(r.sampled)}};
  return j;
}

}  // namespace

std::string EvaluationReport::str() const {
  std::string text = fmt::format("{} split, {} rows, 95 % bootstrap intervals\n", name_of(split), rows);
  text += table(*this, {"auc", "gauc", "pr_auc"}, of_rows);
  text += table(*this, {"logloss", "ne", "brier"}, of_rows);
  text += table(*this, {"copc", "ece", "ece_mass"}, of_rows);
  text += table(*this, {"accuracy", "precision", "recall", "f1"}, of_rows);
  text += auc_delong
              ? fmt::format("DeLong's 95 % interval of the AUC: [{:.4f}, {:.4f}]\n", auc_delong->low, auc_delong->high)
              : fmt::format("DeLong's interval of the AUC is undefined: {}\n", no_delong);
  if (!slices.empty()) text += slice_table(slices);
  if (importance.rows > 0) text += importance_table(importance);
  if (!ranking) return text;
  text += fmt::format("full-catalogue ranking of {} users ({} without a positive)\n", ranking->users,
                      ranking->skipped_users);
  text += tables(*this, of_ranking);
  if (ranking->sampled.empty()) return text;
  text +=
      fmt::format("each positive against {} sampled items: not comparable with the full ranking\n", sampled_negatives);
  return text + tables(*this, of_sampled);
}

std::string EvaluationReport::json() const {
  Json j{{"model", model}, {"split", name_of(split)}, {"rows", rows}, {"metrics", metrics_json(metrics)}};
  if (auc_delong)
    j["metrics"]["auc"]["delong95"] = {auc_delong->low, auc_delong->high};
  else
    j["metrics"]["auc"]["no_delong"] = no_delong;
  if (ranking) j["ranking"] = json_of(*ranking, sampled_negatives);
  for (const BaselineReport& b : baselines) {
    if (!b.metrics.empty()) j["baselines"][b.name]["metrics"] = metrics_json(b.metrics);
    if (b.ranking) j["baselines"][b.name]["ranking"] = metrics_json(b.ranking->metrics);
    if (b.ranking && !b.ranking->sampled.empty())
      j["baselines"][b.name]["sampled_ranking"] = metrics_json(b.ranking->sampled);
  }
  j["curves"] = json_of(curves);
  j["slices"] = json_of(slices);
  j["importance"] = json_of(importance);
  j["importance_rows"] = importance.rows;
  if (!importance.reason.empty()) j["no_importance"] = importance.reason;
  // values of slices are bytes of the data, which need not be UTF-8
  return j.dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace winnow
