#include <cmath>
#include <nlohmann/json.hpp>

#include "serve/bandits/ope.h"

namespace winnow {
namespace {

nlohmann::json number(double v) { return std::isfinite(v) ? nlohmann::json(v) : nlohmann::json(); }

nlohmann::json estimate_json(const OpeEstimate& e) {
  const auto bounds = [](const Interval& i) { return nlohmann::json{number(i.low), number(i.high)}; };
  return {{"estimator", e.name},
          {"value", number(e.value)},
          {"standard_error", number(e.standard_error)},
          {"normal95", bounds(e.normal)},
          {"bootstrap95", bounds(e.bootstrap)}};
}

std::string line(const OpeEstimate& e) {
  return fmt::format("{:<10} {:>12.6g} {:>12.3g}   [{:.6g}, {:.6g}]   [{:.6g}, {:.6g}]\n", e.name, e.value,
                     e.standard_error, e.bootstrap.low, e.bootstrap.high, e.normal.low, e.normal.high);
}

}  // namespace

std::string OpeReport::json() const {
  nlohmann::json j{{"rows", rows},
                   {"actions", actions},
                   {"positions", positions},
                   {"effective_sample_size", number(effective_sample_size)},
                   {"mean_weight", number(mean_weight)},
                   {"largest_weight", number(largest_weight)},
                   {"clip", number(clip)},
                   {"warnings", warnings},
                   {"logged", estimate_json(logged)},
                   {"estimates", nlohmann::json::array()}};
  if (!reward_model.empty()) {
    j["reward_model"] = reward_model;
    j["switch_threshold"] = number(switch_threshold);
  }
  for (const OpeEstimate& e : estimates) j["estimates"].push_back(estimate_json(e));
  return j.dump(2);
}

std::string OpeReport::str() const {
  std::string out = fmt::format(
      "{} rows, {} actions, {} position{}; effective sample size {:.0f}, mean weight {:.4f}, largest {:.4g}\n", rows,
      actions, positions, positions == 1 ? "" : "s", effective_sample_size, mean_weight, largest_weight);
  if (!reward_model.empty())
    out += fmt::format("reward model {}; clipped at {:.4g}, switch at {:.4g}\n", reward_model, clip, switch_threshold);
  out += fmt::format("{:<10} {:>12} {:>12}   {}   {}\n", "estimator", "value", "std. error", "95 % by bootstrap",
                     "95 % normal");
  for (const OpeEstimate& e : estimates) out += line(e);
  out += line(logged);
  return out;
}

}  // namespace winnow
