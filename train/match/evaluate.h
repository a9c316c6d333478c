// Evaluation of a matching model: the items of the whole catalogue ranked for each query of a split.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "train/match/config.h"
#include "train/ranking.h"

namespace winnow {

// Unit vectors of the texts of a data set; those of queries that nobody asks for may be zeros.
struct MatchVectors {
  Tensor queries, items;
};

// Rank correlation (Spearman 1904), ties with the mean of their ranks; nothing where one side is constant.
std::optional<double> spearman(std::span<const float> a, std::span<const float> b);

struct MatchReport {
  struct Row {
    std::string name;
    RankingResult ranking;
  };
  struct Prefix {
    int64_t dims = 0;
    RankingResult ranking;
  };
  std::string model;
  Split split = Split::Test;
  int64_t rows = 0, items = 0;  // pairs of the split, items of the catalogue
  RankingResult ranking;
  std::optional<MetricValue> spearman;  // of cosine and strength, over the split's pairs; graded data only
  std::vector<Row> baselines;           // popularity, bm25, the published encoder
  std::vector<Prefix> prefixes;         // of loss.dims
  std::string str() const;              // tables for people
  std::string json() const;             // evaluation.json, as the report page reads it
};

// Of the vectors alone, without intervals and baselines: what an epoch's validation is. queries: at most so many,
// evenly chosen; 0: all.
std::vector<MetricValue> match_metrics(const MatchData& data, const MatchEvaluationOptions& options, Split split,
                                       const MatchVectors& vectors, int64_t queries);

// zero_shot: the vectors of the encoder before training; null: none.
MatchReport evaluate_match(const MatchConfig& config, const MatchData& data, Split split, const MatchVectors& vectors,
                           const MatchVectors* zero_shot);

void save_evaluation(const std::string& directory, const MatchReport& report);  // evaluation.json

}  // namespace winnow
