// Metrics of cases given as JSON lines on stdin, as JSON lines on stdout: what bench/peers/metrics_sklearn.py compares
// with scikit-learn. A case: {"scores": [], "labels": [], "weights": [] or absent, "bins": 10} or {"scores": [],
// "grades": [], "groups": [], "k": 5}. An undefined metric is null.
#include <iostream>
#include <nlohmann/json.hpp>

#include "train/delong.h"
#include "train/metrics_auc.h"
#include "train/metrics_binary.h"
#include "train/metrics_calibration.h"
#include "train/ranking_graded.h"

namespace winnow {
namespace {

using Json = nlohmann::json;

Json value_of(const MetricValue& v) { return v.value ? Json(*v.value) : Json(nullptr); }

Json curve_of(const std::vector<uint64_t>& sorted, Binning binning, int bins) {
  Json rates = Json::array(), predictions = Json::array();
  for (const CalibrationBin& b : calibration_of_sorted(sorted, binning, bins).bins) {
    rates.push_back(b.rate);
    predictions.push_back(b.mean_prediction);
  }
  return {rates, predictions};
}

Json binary(const Json& in) {
  const std::vector<float> scores = in["scores"], labels = in["labels"];
  const std::vector<float> weights = in.value("weights", std::vector<float>{});
  const MetricRows rows{scores, labels, weights};
  const int bins = in["bins"];
  Json out;
  for (const MetricValue& v : evaluate_binary(rows, {.metrics = {.bins = bins}, .bootstrap = {.resamples = 0}}))
    out[v.name] = value_of(v);
  for (const char* name : {"auc", "pr_auc", "ece", "ece_mass"}) {  // the streaming form beside that of one sort
    const auto metric = make_metric(name, {.bins = bins});
    metric->update(rows);
    out[std::string("streaming_") + name] = value_of(metric->value());
  }
  std::vector<uint64_t> sorted;
  append_scored_rows(rows, sorted);
  sort_scored_rows(sorted);
  out["uniform"] = curve_of(sorted, Binning::EqualWidth, bins);
  out["quantile"] = curve_of(sorted, Binning::EqualMass, bins);
  const std::span<const float> models[] = {scores};
  const DeLong d = delong(models, labels, weights);
  out["delong"] = d.defined() ? Json{d.auc[0], d.variance(0)} : Json(nullptr);
  return out;
}

Json graded(const Json& in) {
  const std::vector<float> scores = in["scores"], grades = in["grades"];
  const std::vector<int64_t> groups = in["groups"];
  const GradedRows rows{scores, grades, groups};
  Json out;
  for (const auto& [name, gain, ties] : {std::tuple{"ndcg", Gain::Linear, Ties::Average},
                                         {"ndcg_exponential", Gain::Exponential, Ties::Average},
                                         {"ndcg_by_order", Gain::Linear, Ties::ByOrder}}) {
    const GradedResult r = evaluate_graded(rows, {.k = in["k"], .gain = gain, .ties = ties}, {.resamples = 0});
    out[name] = value_of(r.ndcg);
    out["map"] = value_of(r.map);
  }
  return out;
}

}  // namespace
}  // namespace winnow

int main() {
  std::ios::sync_with_stdio(false);
  try {
    for (std::string line; std::getline(std::cin, line);) {
      const auto in = nlohmann::json::parse(line);
      std::cout << (in.contains("grades") ? winnow::graded(in) : winnow::binary(in)).dump() << "\n";
    }
  } catch (const std::exception& e) {
    std::cerr << "metrics_check: " << e.what() << "\n";
    return 1;
  }
  return 0;
}
