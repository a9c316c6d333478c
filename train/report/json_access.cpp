#include "train/report/json_access.h"

#include <fmt/format.h>

#include <cmath>

#include "train/report/html.h"
#include "train/report/scale.h"

namespace winnow {

const Json& member(const Json& object, std::string_view key) {
  static const Json null;
  if (!object.is_object()) return null;
  const auto found = object.find(key);
  return found == object.end() ? null : *found;
}

const Json& member(const std::optional<Json>& object, std::string_view key) {
  static const Json null;
  return member(object ? *object : null, key);
}

std::optional<double> number_in(const Json& object, std::string_view key) {
  const Json& v = member(object, key);
  if (!v.is_number() || !std::isfinite(v.get<double>())) return std::nullopt;
  return v.get<double>();
}

std::string text_in(const Json& object, std::string_view key) {
  const Json& v = member(object, key);
  if (v.is_string()) return v.get<std::string>();
  if (v.is_number_integer()) return v.dump();
  return v.is_number() ? short_number(v.get<double>()) : "";
}

std::vector<double> numbers(const Json& list) {
  std::vector<double> out;
  if (!list.is_array()) return out;
  for (const Json& v : list)
    if (v.is_number() && std::isfinite(v.get<double>())) out.push_back(v.get<double>());
  return out;
}

std::vector<ChartPoint> pairs(const Json& list) {
  std::vector<ChartPoint> out;
  if (!list.is_array()) return out;
  for (const Json& pair : list)
    if (const auto xy = numbers(pair); xy.size() == 2) out.push_back({xy[0], xy[1]});
  return out;
}

std::vector<MetricEntry> metric_entries(const Json& metrics) {
  std::vector<MetricEntry> out;
  if (!metrics.is_object()) return out;
  for (const auto& [name, entry] : metrics.items()) {
    MetricEntry m;
    m.name = name;
    if (entry.is_number()) {
      m.value = entry.get<double>();
    } else if (entry.is_object()) {
      m.value = number_in(entry, "value");
      if (const auto bounds = numbers(member(entry, "interval95")); bounds.size() == 2)
        m.interval = {bounds[0], bounds[1]};
      m.reason = text_in(entry, "reason");
    }
    out.push_back(std::move(m));
  }
  return out;
}

const MetricEntry* find_entry(const std::vector<MetricEntry>& entries, std::string_view name) {
  for (const MetricEntry& m : entries)
    if (m.name == name) return &m;
  return nullptr;
}

Better better_of(std::string_view metric) {
  const std::string_view name = metric.substr(0, metric.find('@'));
  for (const char* lower : {"logloss", "ne", "brier", "ece", "ece_mass", "rmse", "mae", "mse"})
    if (name == lower) return Better::Lower;
  for (const char* higher :
       {"auc", "gauc", "pr_auc", "accuracy", "precision", "recall", "f1", "hr", "ndcg", "mrr", "map", "macro_f1",
        "micro_f1", "top_k_accuracy", "r2", "spearman", "oos_auc", "oos_recall"})
    if (name == higher) return Better::Higher;
  return Better::Neither;
}

bool is_better(Better direction, double a, double b) {
  return direction == Better::Higher ? a > b : direction == Better::Lower && a < b;
}

const char* better_text(Better direction) {
  return direction == Better::Higher ? "higher is better" : direction == Better::Lower ? "lower is better" : "";
}

std::string metric_text(const MetricEntry& m) {
  if (!m.value) return m.reason.empty() ? "-" : "undefined: " + m.reason;
  return m.interval ? fmt::format("{:.4f} [{:.4f}, {:.4f}]", *m.value, m.interval->low, m.interval->high)
                    : fmt::format("{:.4f}", *m.value);
}

std::string metric_cell(const MetricEntry& m, bool best) {
  if (!m.value) return fmt::format("<span title=\"{}\">-</span>", escape_html(m.reason));
  std::string html = fmt::format("{:.4f}", *m.value);
  if (best) html = "<span class=\"best\">" + html + "</span>";
  if (m.interval) html += fmt::format("<small>{:.4f} to {:.4f}</small>", m.interval->low, m.interval->high);
  return html;
}

}  // namespace winnow
