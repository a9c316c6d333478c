// Metrics of a model and its baselines as JSON and as a table for people.
#pragma once
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "train/metrics.h"

namespace winnow {

// {name: {value, interval95, reason}}, as train/report reads it.
nlohmann::json metrics_json(const std::vector<MetricValue>& metrics);

// "0.8123 [0.8011, 0.8230]", "-" where there is no value.
std::string metric_cell(const MetricValue& metric);
// The cell of the metric of that name, "-" where there is none.
std::string metric_cell(const std::vector<MetricValue>& metrics, const std::string& name);

struct MetricColumn {
  std::string name;
  std::vector<MetricValue> metrics;
};
// One line a metric of the first column, one column a model; "-" where it is not defined.
std::string metrics_table(const std::vector<MetricColumn>& columns);

}  // namespace winnow
