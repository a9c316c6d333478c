// Reading JSON that should have a form and may not: nothing throws, what does not fit is absent.
#pragma once
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "train/report/chart.h"

namespace winnow {

using Json = nlohmann::json;

const Json& member(const Json& object, std::string_view key);  // null when absent
const Json& member(const std::optional<Json>& object, std::string_view key);
std::optional<double> number_in(const Json& object, std::string_view key);  // finite
std::string text_in(const Json& object, std::string_view key);  // text as it is, a number as digits, else ""
std::vector<double> numbers(const Json& list);                  // of the elements that are finite numbers
std::vector<ChartPoint> pairs(const Json& list);                // [[x, y], ...]

struct MetricEntry {
  std::string name;
  std::optional<double> value;
  std::optional<ChartBounds> interval;
  std::string reason;
};
// {name: {value, interval95, reason}}, or {name: value}.
std::vector<MetricEntry> metric_entries(const Json& metrics);
const MetricEntry* find_entry(const std::vector<MetricEntry>& entries, std::string_view name);

// Of a metric's name, what follows "@" left out. Neither: copc (best at 1), coverage, gini, novelty, diversity, which
// describe the lists and are not good or bad by themselves, and names that are not known.
enum class Better : uint8_t { Higher, Lower, Neither };
Better better_of(std::string_view metric);
bool is_better(Better direction, double a, double b);      // a than b; false for Neither
const char* better_text(Better direction);                 // "higher is better", "lower is better", ""
std::string metric_text(const MetricEntry& m);             // "0.7132 [0.7031, 0.7233]", the reason when undefined
std::string metric_cell(const MetricEntry& m, bool best);  // the same as HTML on two lines

}  // namespace winnow
