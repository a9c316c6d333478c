// The model and its baselines side by side.
#pragma once
#include <string>
#include <vector>

#include "train/report/json_access.h"

namespace winnow {

struct Contestant {
  std::string name;
  std::vector<MetricEntry> metrics;
  bool is_model = false;
};
enum class Results : uint8_t { Rows, Ranking, SampledRanking };
// Of evaluation.json: the model first, then its baselines.
std::vector<Contestant> contestants(const Json& evaluation, Results which);

// One row each, one column for each metric that any of them has, the best value of a column bold.
std::string contestant_table(const std::string& caption, const std::vector<Contestant>& all);
// The same metric of all of them with intervals; empty when fewer than two have it.
std::string contestant_chart(const std::string& metric, const std::string& title, const std::vector<Contestant>& all);
// The baseline with the best value of a metric; null when none has one.
const Contestant* best_baseline(const std::vector<Contestant>& all, const std::string& metric);

}  // namespace winnow
