#include "train/metrics_auc.h"

#include <algorithm>

#include "core/parallel.h"
#include "train/detail/radix_sort.h"

namespace winnow {
namespace {

constexpr uint32_t kSign = 0x80000000u;

double mean_of(std::span<const UserAuc> users) {
  double sum = 0, weight = 0;
  for (const UserAuc& u : users) {
    sum += u.auc * u.weight;
    weight += u.weight;
  }
  return sum / weight;
}

}  // namespace

uint64_t pack_scored_row(float score, bool positive, float weight) {
  const auto bits = __builtin_bit_cast(uint32_t, score + 0.0f);
  const uint32_t key = (bits & kSign) != 0 ? ~bits : bits | kSign;
  // a weight is not negative, so its sign bit is free for the label
  const uint32_t rest = __builtin_bit_cast(uint32_t, weight) | (positive ? kSign : 0);
  return uint64_t{key} << 32 | rest;
}

ScoredRow unpack_scored_row(uint64_t word) {
  const auto rest = static_cast<uint32_t>(word);
  return {static_cast<uint32_t>(word >> 32), (rest & kSign) != 0, __builtin_bit_cast(float, rest & ~kSign)};
}

float score_of(uint32_t score_key) {
  return __builtin_bit_cast(float, (score_key & kSign) != 0 ? score_key & ~kSign : ~score_key);
}

void sort_scored_rows(std::vector<uint64_t>& rows) {
  constexpr uint64_t kWeight = 0x7fffffffu;
  const bool one_weight =
      std::all_of(rows.begin(), rows.end(), [&](uint64_t r) { return (r & kWeight) == (rows.front() & kWeight); });
  // three digits of 11 bits hold score and label; the weight needs three more
  detail::radix_sort(rows, one_weight ? 31 : 0, [](uint64_t r) { return r; });
}

void append_scored_rows(const MetricRows& rows, std::vector<uint64_t>& words) {
  const size_t n = rows.predictions.size(), before = words.size();
  const auto weight = [&](size_t i) { return rows.weights.empty() ? 1.0f : rows.weights[i]; };
  words.resize(before + n);
  parallel_for(static_cast<int64_t>(n), 1 << 15, [&](int64_t begin, int64_t end) {
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i)
      words[before + i] = pack_scored_row(rows.predictions[i], rows.labels[i] > 0.5f, weight(i));
  });
  if (rows.weights.empty()) return;
  const auto padding = [](uint64_t word) { return unpack_scored_row(word).weight == 0; };
  words.erase(std::remove_if(words.begin() + static_cast<int64_t>(before), words.end(), padding), words.end());
}

SortedAreas areas_of_sorted(std::span<const uint64_t> rows) {
  double above[2] = {0, 0}, pairs = 0, precision = 0;  // from the highest score down, as the curves are drawn
  for (size_t i = rows.size(); i > 0;) {
    const uint64_t key = rows[i - 1] >> 32;
    double tied[2] = {0, 0};
    for (; i > 0 && rows[i - 1] >> 32 == key; --i) {
      const ScoredRow row = unpack_scored_row(rows[i - 1]);
      tied[row.positive ? 1 : 0] += row.weight;
    }
    pairs += tied[0] * (above[1] + 0.5 * tied[1]);
    above[0] += tied[0];
    above[1] += tied[1];
    if (tied[1] > 0) precision += tied[1] * (above[1] / (above[0] + above[1]));
  }
  SortedAreas areas{.positives = above[1], .negatives = above[0], .auc = {}, .pr_auc = {}};
  if (above[1] > 0) areas.pr_auc = precision / above[1];
  if (above[0] > 0 && above[1] > 0) areas.auc = pairs / (above[0] * above[1]);
  return areas;
}

std::optional<double> auc_of_sorted(std::span<const uint64_t> rows) { return areas_of_sorted(rows).auc; }

void ScoredRowsMetric::update(const MetricRows& rows) {
  check_rows(name(), rows, seen_, LabelRange::Binary);
  append_scored_rows(rows, rows_);
  seen_ += static_cast<int64_t>(rows.predictions.size());
}

void ScoredRowsMetric::merge(const Metric& other) {
  const auto& m = same_kind<ScoredRowsMetric>(other);
  const std::vector<uint64_t> more = m.rows_;  // a copy: `other` may be this
  rows_.insert(rows_.end(), more.begin(), more.end());
  seen_ += m.seen_;
}

MetricValue ScoredRowsMetric::value() const {
  std::vector<uint64_t> rows = rows_;
  sort_scored_rows(rows);
  return value_of(rows);
}

MetricValue auc_value(const SortedAreas& areas, size_t rows) {
  if (areas.auc) return {.name = "auc", .value = areas.auc};
  return {.name = "auc", .value = {}, .reason = fmt::format("needs both classes, {} rows have one", rows)};
}

MetricValue pr_auc_value(const SortedAreas& areas, size_t rows) {
  if (areas.pr_auc) return {.name = "pr_auc", .value = areas.pr_auc};
  return {.name = "pr_auc", .value = {}, .reason = fmt::format("none of {} rows has label 1", rows)};
}

void GroupedAuc::update(const MetricRows& rows) {
  WN_CHECK(rows.users.size() == rows.predictions.size(), ShapeError,
           "metric gauc: {} predictions with {} users; the "
           "lengths must agree",
           rows.predictions.size(), rows.users.size());
  check_rows(name(), rows, seen_, LabelRange::Binary);
  for (size_t i = 0; i < rows.predictions.size(); ++i) {
    const float w = rows.weights.empty() ? 1.0f : rows.weights[i];
    if (w == 0) continue;
    rows_.push_back(
        {static_cast<uint64_t>(rows.users[i]), pack_scored_row(rows.predictions[i], rows.labels[i] > 0.5f, w)});
  }
  seen_ += static_cast<int64_t>(rows.predictions.size());
}

void GroupedAuc::merge(const Metric& other) {
  const auto& m = same_kind<GroupedAuc>(other);
  const std::vector<Row> more = m.rows_;
  rows_.insert(rows_.end(), more.begin(), more.end());
  seen_ += m.seen_;
}

std::vector<UserAuc> GroupedAuc::users() const {
  std::vector<Row> rows = rows_;
  detail::radix_sort(rows, 0, [](const Row& r) { return r.scored; });
  detail::radix_sort(rows, 0, [](const Row& r) { return r.user; });
  std::vector<UserAuc> users;
  std::vector<uint64_t> scored;
  for (size_t i = 0; i < rows.size();) {
    const uint64_t user = rows[i].user;
    scored.clear();
    double weight = 0;
    for (; i < rows.size() && rows[i].user == user; ++i) {
      scored.push_back(rows[i].scored);
      weight += unpack_scored_row(rows[i].scored).weight;
    }
    if (const auto auc = auc_of_sorted(scored)) users.push_back({static_cast<int64_t>(user), *auc, weight});
  }
  return users;
}

MetricValue GroupedAuc::value() const {
  const std::vector<UserAuc> all = users();
  if (!all.empty()) return {.name = name(), .value = mean_of(all)};
  return {.name = name(), .value = {}, .reason = "needs both classes, no user has them"};
}

}  // namespace winnow
