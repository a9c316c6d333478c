#include "train/evaluation_text.h"

#include <algorithm>
#include <cmath>

namespace winnow {

nlohmann::json metrics_json(const std::vector<MetricValue>& metrics) {
  using Json = nlohmann::json;
  Json j = Json::object();
  for (const MetricValue& m : metrics) {
    Json entry{{"value", m.value ? Json(*m.value) : Json(nullptr)}};
    if (!std::isnan(m.low)) entry["interval95"] = {m.low, m.high};
    if (!m.reason.empty()) entry["reason"] = m.reason;
    j[m.name] = entry;
  }
  return j;
}

std::string metric_cell(const MetricValue& metric) {
  if (!metric.value) return "-";
  std::string cell = fmt::format("{:.4f}", *metric.value);
  if (!std::isnan(metric.low)) cell += fmt::format(" [{:.4f}, {:.4f}]", metric.low, metric.high);
  return cell;
}

std::string metric_cell(const std::vector<MetricValue>& metrics, const std::string& name) {
  const auto m = std::ranges::find(metrics, name, &MetricValue::name);
  return m == metrics.end() ? "-" : metric_cell(*m);
}

std::string metrics_table(const std::vector<MetricColumn>& columns) {
  std::string text = fmt::format("{:<16}", "");
  for (const MetricColumn& c : columns) text += fmt::format("  {:<26}", c.name);
  const auto end_line = [&] { text.erase(text.find_last_not_of(' ') + 1).push_back('\n'); };
  end_line();
  for (const MetricValue& metric : columns.at(0).metrics) {
    text += fmt::format("{:<16}", metric.name);
    for (const MetricColumn& c : columns) { text += fmt::format("  {:<26}", metric_cell(c.metrics, metric.name)); }
    end_line();
  }
  return text;
}

}  // namespace winnow
