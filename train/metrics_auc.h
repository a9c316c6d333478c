// Exact area under the ROC curve, over all rows and by user. A row is kept as one 64-bit word, so 1e7 rows take 80 MB
// (gauc 160 MB) and one radix sort.
#pragma once
#include <optional>
#include <span>
#include <vector>

#include "train/metrics.h"

namespace winnow {

// [order-preserving bits of the score | label | bits of the weight]: sorting words sorts rows by score, then label,
// then weight, and equal words are equal rows. -0 and +0 are one score.
uint64_t pack_scored_row(float score, bool positive, float weight);
struct ScoredRow {
  uint32_t score_key;  // ordered as the scores
  bool positive;
  float weight;
};
ScoredRow unpack_scored_row(uint64_t word);
float score_of(uint32_t score_key);

void sort_scored_rows(std::vector<uint64_t>& rows);

// AUC of sorted rows; nothing unless both classes have weight.
std::optional<double> auc_of_sorted(std::span<const uint64_t> rows);

class Auc final : public Metric {
 public:
  Auc() : Metric("auc") {}
  void update(const MetricRows& rows) override;
  void merge(const Metric& other) override;
  MetricValue value() const override;

 private:
  std::vector<uint64_t> rows_;
  int64_t seen_ = 0;
};

// One user of both classes: AUC and weight (sum of the weights of the user's rows).
struct UserAuc {
  int64_t user;
  double auc;
  double weight;
};

class GroupedAuc final : public Metric {
 public:
  GroupedAuc() : Metric("gauc") {}
  void update(const MetricRows& rows) override;
  void merge(const Metric& other) override;
  MetricValue value() const override;
  std::vector<UserAuc> users() const;  // ascending by user

 private:
  struct Row {
    uint64_t user, scored;
  };
  std::vector<Row> rows_;
  int64_t seen_ = 0;
};

}  // namespace winnow
