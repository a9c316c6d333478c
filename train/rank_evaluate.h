// Evaluation of rankings on graded rows: measures with intervals over queries, beside baselines.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "train/rank_config.h"

namespace winnow {

// ndcg@k for each k, map and mrr over the whole list; each with an interval that resamples queries. Definitions:
// train/ranking_graded.h; equal scores share their places in ndcg and rank by row in map and mrr.
std::vector<MetricValue> rank_metrics(std::span<const float> scores, const RankingRows& rows,
                                      const RankEvaluation& options);

struct RankReport {
  struct Baseline {
    std::string name;
    std::vector<MetricValue> metrics;
  };
  std::string model;
  Split split = Split::Test;
  int64_t rows = 0, queries = 0, without_grade = 0;  // without_grade: queries without a grade above 0, left out
  std::vector<MetricValue> metrics;
  std::vector<Baseline> baselines;
  std::vector<float> scores;  // of the rows
  std::string str() const;
  std::string json() const;
};

// Baselines: random (scores drawn by the seed); of models on features the one feature, rising or falling, with the best
// last ndcg@k on the training queries; of a cross-encoder BM25 over its tokens (data/term_match.h).
RankReport evaluate_ranking(const RankConfig& config, const RankingData& data, const RankModel& model,
                            std::vector<float> scores, Split split);

// <directory>/evaluation.json
void save_evaluation(const std::string& directory, const RankReport& report);

}  // namespace winnow
