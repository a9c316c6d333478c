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

std::string metrics_table(const std::vector<MetricColumn>& columns) {
  std::string text = fmt::format("{:<16}", "");
  for (const MetricColumn& c : columns) text += fmt::format("  {:<26}", c.name);
  const auto end_line = [&] { text.erase(text.find_last_not_of(' ') + 1).push_back('\n'); };
  end_line();
  for (const MetricValue& metric : columns.at(0).metrics) {
    text += fmt::format("{:<16}", metric.name);
    for (const MetricColumn& c : columns) {
      const auto m = std::ranges::find(c.metrics, metric.name, &MetricValue::name);
      std::string cell = "-";
      if (m != c.metrics.end() && m->value) {
        cell = fmt::format("{:.4f}", *m->value);
        if (!std::isnan(m->low)) cell += fmt::format(" [{:.4f}, {:.4f}]", m->low, m->high);
      }
      text += fmt::format("  {:<26}", cell);
    }
    end_line();
  }
  return text;
}

}  // namespace winnow
