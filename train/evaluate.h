// Evaluation of a click run on one split: metrics with intervals, curves, slices, importance, full-catalogue ranking,
// trivial baselines. docs/evaluation.md defines every number.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "models/ctr.h"
#include "train/curves.h"
#include "train/importance.h"
#include "train/predictions.h"
#include "train/ranking.h"
#include "train/slices.h"

namespace winnow {

struct CtrConfig;

struct EvaluationOptions {
  std::vector<int64_t> ks = {10};
  bool ranking = true;                      // full-catalogue ranking of every test user
  std::vector<std::string> baselines = {};  // models trained beside with the same settings, such as LR
  int64_t resamples = 1000;
  uint64_t seed = 1;
  std::vector<SliceSpec> slices = {};
  int64_t slice_min_rows = 100;
  int64_t importance_rows = 10000;  // 0: no importance
  std::string diversity;            // an item feature with ids whose values are the categories; "" none
  int64_t sampled_negatives = 0;    // 0: no sampled ranking metrics
};

// The section `evaluation`. The default of `diversity` is the first multi feature of the items.
EvaluationOptions read_evaluation_options(const ConfigNode& evaluation, const Schema& schema);

struct BaselineReport {
  std::string name;
  std::vector<MetricValue> metrics;
  std::optional<RankingResult> ranking;
};
struct EvaluationReport {
  std::string model;
  Split split = Split::Test;
  int64_t rows = 0;
  std::vector<MetricValue> metrics;
  std::optional<Interval> auc_delong;  // beside the bootstrap interval of the AUC; nothing where it is undefined
  std::string no_delong;               // why
  std::optional<RankingResult> ranking;
  std::vector<BaselineReport> baselines;
  Curves curves;
  std::vector<SliceReport> slices;
  Importance importance;
  int64_t sampled_negatives = 0;  // of ranking->sampled
  Predictions predictions;
  std::string str() const;  // tables for people
  std::string json() const;
};

// The ranking is of the test split: another one has none.
EvaluationReport evaluate_run(const CtrConfig& config, const Dataset& dataset, CtrModel& model, const std::string& name,
                              Split split = Split::Test);
// <directory>/evaluation.json and predictions.safetensors.
void save_evaluation(const std::string& directory, const EvaluationReport& report);

}  // namespace winnow
