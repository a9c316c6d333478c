#include "train/value_text.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/text.h"
#include "data/timestamp.h"
#include "ops/losses.h"
#include "train/evaluation_text.h"
#include "train/value_metrics.h"

namespace winnow {
namespace {

using Json = nlohmann::json;

double mean_of(std::span<const double> x) {
  double sum = 0;
  for (const double v : x) sum += v;
  return sum / static_cast<double>(std::max<size_t>(1, x.size()));
}

double median_of(std::vector<double> x) {
  if (x.empty()) return 0;
  const auto middle = x.begin() + static_cast<int64_t>(x.size() / 2);
  std::ranges::nth_element(x, middle);
  return *middle;
}

}  // namespace

double ValueText::value_of(const TextTable& table, int32_t row) const {
  double value = 1;
  for (size_t c = 0; c < options_.target.size(); ++c) {
    const std::string& cell = table.cells[c][static_cast<size_t>(row)];
    const auto number = parse_number(cell);
    if (!number) table.fail(row, options_.target[c], winnow::quoted(cell) + " is no number");
    value *= *number;
  }
  if (options_.log && !(value > 0))
    table.fail(row, options_.target[0],
               fmt::format("the target is {}, and target.transform log needs one above 0; leave such rows out with "
                           "data.clean: [{{step: impossible, column: {}, min: ...}}]",
                           value, options_.target[0]));
  return value;
}

std::vector<double> ValueText::values_of(const TextTable& table, std::span<const int32_t> rows) const {
  std::vector<double> values;
  values.reserve(rows.size());
  for (const int32_t r : rows) values.push_back(value_of(table, r));
  return values;
}

void ValueText::fit(const TextTable& table) {
  std::vector<double> g = values_of(table, table.rows_of(Split::Train));
  if (options_.log)
    for (double& x : g) x = std::log(x);
  mean_ = mean_of(g);
  double squares = 0;
  for (const double x : g) squares += (x - mean_) * (x - mean_);
  std_ = std::sqrt(squares / static_cast<double>(g.size()));
  WN_CHECK(std_ > 0, DataError, "column {}: every training row has the same target; there is nothing to learn",
           winnow::quoted(options_.target[0]));
}

TextTargets ValueText::targets(const TextTable& table, std::span<const int32_t> rows) const {
  TextTargets t;
  t.width = 1;
  for (const double y : values_of(table, rows))
    t.values.push_back(static_cast<float>(((options_.log ? std::log(y) : y) - mean_) / std_));
  return t;
}

Value ValueText::loss(Value outputs, Value targets, Value weights) const {
  return options_.huber ? huber(outputs, targets, options_.delta, weights) : mse(outputs, targets, weights);
}

double ValueText::in_units(double output) const {
  const double g = mean_ + std_ * output;
  return options_.log ? std::exp(g) * smearing_ : g;
}

std::vector<NamedMetric> ValueText::validate(std::span<const float> outputs, const TextSplit& valid) const {
  std::vector<double> predictions;
  double loss = 0;
  for (size_t r = 0; r < outputs.size(); ++r) {
    predictions.push_back(in_units(outputs[r]));
    const double d = std::abs(static_cast<double>(outputs[r]) - valid.targets->values[r]);
    loss += !options_.huber ? d * d : d <= options_.delta ? d * d / 2 : options_.delta * (d - options_.delta / 2);
  }
  std::vector<NamedMetric> out = {{"loss", loss / static_cast<double>(outputs.size())}};
  for (const MetricValue& m : value_metrics(predictions, values_of(*valid.table, valid.rows), {.resamples = 0}))
    if (m.value) out.push_back({m.name, *m.value});
  return out;
}

void ValueText::calibrate(std::span<const float> outputs, const TextSplit& held_out) {
  if (!options_.log || options_.median) return;
  double sum = 0;
  for (size_t r = 0; r < outputs.size(); ++r)
    sum += std::exp(std_ * (static_cast<double>(held_out.targets->values[r]) - static_cast<double>(outputs[r])));
  smearing_ = sum / static_cast<double>(outputs.size());
}

TextEvaluation ValueText::evaluate(std::span<const float> outputs, const TextSplit& split,
                                   const TextSplit& train) const {
  const std::vector<double> values = values_of(*split.table, split.rows), trained = values_of(*train.table, train.rows);
  std::vector<double> predictions;
  for (const float x : outputs) predictions.push_back(in_units(x));
  const std::vector<MetricColumn> columns = {
      {"model", value_metrics(predictions, values, options_.bootstrap)},
      {"mean", value_metrics(std::vector(values.size(), mean_of(trained)), values, options_.bootstrap)},
      {"median", value_metrics(std::vector(values.size(), median_of(trained)), values, options_.bootstrap)}};
  Json j{{"model", "text regression"}, {"job", name()}, {"split", name_of(split.split)}, {"rows", values.size()}};
  j["metrics"] = metrics_json(columns[0].metrics);
  for (size_t b = 1; b < columns.size(); ++b)
    j["baselines"][columns[b].name]["metrics"] = metrics_json(columns[b].metrics);
  std::string text = fmt::format("{} split, {} rows, 95 % bootstrap intervals\n{}", name_of(split.split), values.size(),
                                 metrics_table(columns));
  text += fmt::format("{:>8} {:>16} {:>16}\n", "rows", "mean prediction", "mean value");
  j["deciles"] = Json::array();
  for (const ValueDecile& d : value_deciles(predictions, values)) {
    j["deciles"].push_back({{"rows", d.rows},
                            {"mean_prediction", d.mean_prediction},
                            {"mean_value", d.mean_value},
                            {"low", d.low},
                            {"high", d.high}});
    text += fmt::format("{:>8} {:>16.4f} {:>16.4f}\n", d.rows, d.mean_prediction, d.mean_value);
  }
  if (options_.log && !options_.median) text += fmt::format("smearing factor of the log: {:.4f}\n", smearing_);
  return {text, j.dump(2)};
}

Json ValueText::state() const { return {{"job", name()}, {"mean", mean_}, {"std", std_}, {"smearing", smearing_}}; }

void ValueText::restore(const Json& state) {
  mean_ = state.at("mean").get<double>();
  std_ = state.at("std").get<double>();
  smearing_ = state.at("smearing").get<double>();
}

Json ValueText::prediction(std::span<const float> outputs, int64_t /*top*/) const {
  return {{"value", in_units(outputs[0])}};
}

std::string ValueText::prediction_text(std::span<const float> outputs, int64_t /*top*/) const {
  return fmt::format("{:.6g}", in_units(outputs[0]));
}

Json ValueText::describe(const TextTable& table) const {
  Json out{{"column", fmt::format("{}", fmt::join(options_.target, " * "))},
           {"transform", options_.log ? "log" : "standard"}};
  for (const Split s : {Split::Train, Split::Valid, Split::Test}) {
    const std::vector<double> values = values_of(table, table.rows_of(s));
    if (values.empty()) continue;
    const auto [low, high] = std::ranges::minmax(values);
    out["splits"][name_of(s)] = {
        {"mean", mean_of(values)}, {"median", median_of(values)}, {"least", low}, {"most", high}};
  }
  return out;
}

std::unique_ptr<TextJob> make_value_text(const ConfigNode& root) {
  ValueTextOptions o;
  const ConfigNode data = root.child("data"), loss = root.child("loss"), evaluation = root.child("evaluation");
  o.target = data.require<std::vector<std::string>>("target");
  if (o.target.empty()) data.fail("target", "names no column");
  const ConfigNode target = root.child("target");
  o.log = target.choice("transform", "standard", {"standard", "log"}) == "log";
  if (o.log) o.median = target.choice("prediction", "mean", {"mean", "median"}) == "median";
  o.huber = loss.choice("kind", "mse", {"mse", "huber"}) == "huber";
  if (o.huber) o.delta = loss.get("delta", o.delta, more_than(0));
  o.bootstrap.resamples = static_cast<int>(evaluation.get<int64_t>("resamples", 1000, between(0, 100000)));
  o.bootstrap.seed = evaluation.get<uint64_t>("seed", 1);
  return std::make_unique<ValueText>(std::move(o));
}

}  // namespace winnow
