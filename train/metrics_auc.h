// Exact areas under the ROC and the precision-recall curve, over all rows, and AUC by user. A row is kept as one 64-bit
// word, so 1e7 rows take 80 MB (gauc 160 MB) and one radix sort.
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

void sort_scored_rows(std::vector<uint64_t>& rows);  // ascending words
// The rows of weight above 0, as words in the order they have (unchecked: see check_rows).
void append_scored_rows(const MetricRows& rows, std::vector<uint64_t>& words);

// Sums over sorted rows. Ties in the score are one step of either curve.
struct SortedAreas {
  double positives = 0, negatives = 0;  // weights
  std::optional<double> auc;            // nothing unless both classes have weight
  std::optional<double> pr_auc;         // nothing unless a positive has weight
};
SortedAreas areas_of_sorted(std::span<const uint64_t> rows);
std::optional<double> auc_of_sorted(std::span<const uint64_t> rows);

// A metric of the rows sorted by score.
class ScoredRowsMetric : public Metric {
 public:
  void update(const MetricRows& rows) override;
  void merge(const Metric& other) override;
  MetricValue value() const override;

 protected:
  explicit ScoredRowsMetric(std::string name) : Metric(std::move(name)) {}

 private:
  virtual MetricValue value_of(std::span<const uint64_t> sorted) const = 0;
  std::vector<uint64_t> rows_;
  int64_t seen_ = 0;
};

MetricValue auc_value(const SortedAreas& areas, size_t rows);
MetricValue pr_auc_value(const SortedAreas& areas, size_t rows);

class Auc final : public ScoredRowsMetric {
 public:
  Auc() : ScoredRowsMetric("auc") {}

 private:
  MetricValue value_of(std::span<const uint64_t> sorted) const override {
    return auc_value(areas_of_sorted(sorted), sorted.size());
  }
};

class PrAuc final : public ScoredRowsMetric {
 public:
  PrAuc() : ScoredRowsMetric("pr_auc") {}

 private:
  MetricValue value_of(std::span<const uint64_t> sorted) const override {
    return pr_auc_value(areas_of_sorted(sorted), sorted.size());
  }
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
