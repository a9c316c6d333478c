#include "train/ranking.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/parallel.h"
#include "train/exact_sum.h"

namespace winnow {
namespace {

constexpr float kExcluded = -std::numeric_limits<float>::infinity();
enum Measure : int { kHitRate, kNdcg, kRecall, kPrecision, kReciprocalRank, kMeasures };
constexpr const char* kNames[kMeasures] = {"hr", "ndcg", "recall", "precision", "mrr"};

void check_items(const char* what, const UserItems& lists, int64_t users, int64_t items) {
  if (lists.offsets.empty()) {
    WN_CHECK(lists.items.empty(), DataError, "ranking: {} has {} items but no offsets", what, lists.items.size());
    return;
  }
  WN_CHECK(static_cast<int64_t>(lists.offsets.size()) == users + 1 && lists.offsets.front() == 0 &&
               lists.offsets.back() == static_cast<int64_t>(lists.items.size()) &&
               std::is_sorted(lists.offsets.begin(), lists.offsets.end()),
           DataError, "ranking: {} needs {} offsets rising from 0 to {}, got {}", what, users + 1, lists.items.size(),
           lists.offsets.size());
  for (size_t i = 0; i < lists.items.size(); ++i) {
    const int64_t item = lists.items[i];
    WN_CHECK(item >= 0 && item < items, DataError, "ranking: {} position {}: item {} is not in [0, {})", what, i, item,
             items);
  }
}

std::span<const int64_t> items_of(const UserItems& lists, int64_t user) {
  if (lists.offsets.empty()) return {};
  const auto u = static_cast<size_t>(user);
  return lists.items.subspan(static_cast<size_t>(lists.offsets[u]),
                             static_cast<size_t>(lists.offsets[u + 1] - lists.offsets[u]));
}

// Sorted positives of a user that may be ranked, without repeats.
std::vector<int64_t> targets_of(const RankingProblem& problem, int64_t user, std::span<const uint8_t> barred,
                                int64_t& unrankable) {
  const auto sorted = [](std::span<const int64_t> items) {
    std::vector<int64_t> v(items.begin(), items.end());
    std::sort(v.begin(), v.end());
    v.erase(std::unique(v.begin(), v.end()), v.end());
    return v;
  };
  std::vector<int64_t> targets = sorted(items_of(problem.positives, user));
  const std::vector<int64_t> seen = sorted(items_of(problem.seen, user));
  unrankable += static_cast<int64_t>(std::erase_if(targets, [&](int64_t item) {
    return barred[static_cast<size_t>(item)] != 0 || std::binary_search(seen.begin(), seen.end(), item);
  }));
  return targets;
}

struct Evaluated {
  int64_t user;
  std::vector<int64_t> targets;
  std::vector<int64_t> top;
  int64_t nan_item = -1;
};

// values[kMeasures] of one user at one k.
void measure(const Evaluated& user, size_t k, std::span<double> values) {
  const auto discount = [](size_t rank) { return 1 / std::log2(static_cast<double>(rank) + 1); };
  double hits = 0, gain = 0, ideal = 0, first = 0;
  for (size_t r = 1; r <= std::min(k, user.top.size()); ++r) {
    if (!std::binary_search(user.targets.begin(), user.targets.end(), user.top[r - 1])) continue;
    if (hits == 0) first = 1 / static_cast<double>(r);
    hits += 1;
    gain += discount(r);
  }
  for (size_t r = 1; r <= std::min(k, user.targets.size()); ++r) ideal += discount(r);
  values[kHitRate] = hits > 0 ? 1 : 0;
  values[kNdcg] = gain / ideal;
  values[kRecall] = hits / static_cast<double>(user.targets.size());
  values[kPrecision] = hits / static_cast<double>(k);
  values[kReciprocalRank] = first;
}

// Fills top of every user with targets, some users at a time.
void rank_users(const RankingProblem& problem, const ScoreUsers& score, int64_t users_per_call, int k,
                std::span<const uint8_t> barred, std::vector<Evaluated>& users) {
  const auto items = static_cast<size_t>(problem.items);
  std::vector<float> scores;
  for (int64_t begin = 0; begin < problem.users; begin += users_per_call) {
    const int64_t end = std::min(begin + users_per_call, problem.users);
    const auto before = [](const Evaluated& u, int64_t id) { return u.user < id; };
    const auto first = std::lower_bound(users.begin(), users.end(), begin, before);
    const auto last = std::lower_bound(first, users.end(), end, before);
    if (first == last) continue;
    scores.assign(static_cast<size_t>(end - begin) * items, kExcluded);
    score(begin, end, scores);
    for (auto u = first; u != last; ++u) u->top.reserve(static_cast<size_t>(k));  // nothing may throw in the loop
    parallel_tasks(last - first, [&](int64_t i) {
      Evaluated& u = *(first + i);
      const auto row = std::span(scores).subspan(static_cast<size_t>(u.user - begin) * items, items);
      for (int64_t item : items_of(problem.seen, u.user)) row[static_cast<size_t>(item)] = kExcluded;
      for (size_t item = 0; item < items; ++item) {
        if (barred[item] != 0) row[item] = kExcluded;
        if (std::isnan(row[item]) && u.nan_item < 0) u.nan_item = static_cast<int64_t>(item);
      }
      if (u.nan_item < 0) top_items(row, k, u.top);
    });
    for (auto u = first; u != last; ++u) {
      WN_CHECK(u->nan_item < 0, DataError, "ranking: user {}: the score of item {} is NaN", u->user, u->nan_item);
    }
  }
}

MetricValue coverage_at(const std::vector<Evaluated>& users, int k, std::span<const uint8_t> barred) {
  std::vector<uint8_t> shown(barred.size());
  for (const Evaluated& u : users) {
    for (size_t r = 0; r < std::min(static_cast<size_t>(k), u.top.size()); ++r)
      shown[static_cast<size_t>(u.top[r])] = 1;
  }
  const auto distinct = std::count(shown.begin(), shown.end(), 1), able = std::count(barred.begin(), barred.end(), 0);
  return {.name = fmt::format("coverage@{}", k), .value = static_cast<double>(distinct) / static_cast<double>(able)};
}

// The mean of each measure over the users. The bootstrap sees them sorted by value, so that the interval does not
// depend on how users are numbered.
void append_measures(const std::vector<Evaluated>& users, int k, const BootstrapOptions& options,
                     std::vector<MetricValue>& metrics) {
  std::vector<double> columns[kMeasures];
  for (const Evaluated& u : users) {
    double values[kMeasures];
    measure(u, static_cast<size_t>(k), values);
    for (int m = 0; m < kMeasures; ++m) columns[m].push_back(values[m]);
  }
  const std::vector<double> ones(users.size(), 1.0);
  for (int m = 0; m < kMeasures; ++m) {
    MetricValue value{.name = fmt::format("{}@{}", kNames[m], k), .value = {}};
    if (users.empty()) {
      value.reason = "no user has a positive that may be ranked";
    } else {
      ExactSum sum;
      for (double v : columns[m]) sum.add(v);
      value.value = sum.value() / static_cast<double>(users.size());
      std::sort(columns[m].begin(), columns[m].end());
      const Interval interval = bootstrap_ratio(columns[m], ones, options);
      value.low = interval.low;
      value.high = interval.high;
    }
    metrics.push_back(std::move(value));
  }
}

}  // namespace

void top_items(std::span<const float> scores, int k, std::vector<int64_t>& top) {
  // a heap of the best k so far with the worst in front; one comparison for an item that does not enter
  const auto better = [&](int64_t a, int64_t b) {
    const float x = scores[static_cast<size_t>(a)], y = scores[static_cast<size_t>(b)];
    return x > y || (x == y && a < b);
  };
  top.clear();
  const auto room = static_cast<size_t>(k);
  if (room == 0) return;
  float worst = kExcluded;  // ids come in rising order, so a tie with the worst never enters
  for (size_t i = 0; i < scores.size(); ++i) {
    if (!(scores[i] > worst)) continue;
    if (top.size() == room) {
      std::pop_heap(top.begin(), top.end(), better);
      top.pop_back();
    }
    top.push_back(static_cast<int64_t>(i));
    std::push_heap(top.begin(), top.end(), better);
    if (top.size() == room) worst = scores[static_cast<size_t>(top.front())];
  }
  std::sort_heap(top.begin(), top.end(), better);
}

RankingResult evaluate_ranking(const RankingProblem& problem, const ScoreUsers& score, const RankingOptions& options) {
  check_bootstrap(options.bootstrap);
  WN_CHECK(!options.ks.empty() && options.users_per_call > 0, ConfigError,
           "ranking: needs at least one k and users_per_call above 0, got {} and {}", options.ks.size(),
           options.users_per_call);
  for (int k : options.ks) {
    WN_CHECK(k >= 1 && k <= problem.items, ConfigError, "ranking: k = {} must be between 1 and the {} items", k,
             problem.items);
  }
  check_items("positives", problem.positives, problem.users, problem.items);
  check_items("seen", problem.seen, problem.users, problem.items);
  std::vector<uint8_t> barred(static_cast<size_t>(problem.items));
  for (int64_t item : problem.not_for_ranking) {
    WN_CHECK(item >= 0 && item < problem.items, DataError, "ranking: not_for_ranking: item {} is not in [0, {})", item,
             problem.items);
    barred[static_cast<size_t>(item)] = 1;
  }
  WN_CHECK(std::count(barred.begin(), barred.end(), 0) > 0, DataError, "ranking: all {} items are not for ranking",
           problem.items);

  RankingResult result;
  std::vector<Evaluated> users;
  for (int64_t u = 0; u < problem.users; ++u) {
    std::vector<int64_t> targets = targets_of(problem, u, barred, result.unrankable_positives);
    if (!targets.empty()) users.push_back({.user = u, .targets = std::move(targets), .top = {}});
  }
  result.users = static_cast<int64_t>(users.size());
  result.skipped_users = problem.users - result.users;
  const int most = *std::max_element(options.ks.begin(), options.ks.end());
  rank_users(problem, score, options.users_per_call, most, barred, users);
  for (int k : options.ks) {
    append_measures(users, k, options.bootstrap, result.metrics);
    result.metrics.push_back(coverage_at(users, k, barred));
  }
  return result;
}

ScoreUsers score_matrix(std::span<const float> scores, int64_t items) {
  return [scores, items](int64_t begin, int64_t end, std::span<float> out) {
    WN_CHECK(end * items <= static_cast<int64_t>(scores.size()), ShapeError,
             "ranking: users up to {} of {} items, but the matrix has {} scores", end, items, scores.size());
    std::copy_n(scores.begin() + begin * items, out.size(), out.begin());
  };
}

ScoreUsers score_items(std::span<const float> scores) {
  return [scores](int64_t begin, int64_t end, std::span<float> out) {
    WN_CHECK(static_cast<int64_t>(out.size()) == (end - begin) * static_cast<int64_t>(scores.size()), ShapeError,
             "ranking: {} item scores for rows of {} items", scores.size(),
             static_cast<int64_t>(out.size()) / (end - begin));
    for (int64_t u = begin; u < end; ++u) {
      std::copy(scores.begin(), scores.end(), out.begin() + (u - begin) * static_cast<int64_t>(scores.size()));
    }
  };
}

}  // namespace winnow
