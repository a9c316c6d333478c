#include "train/ranking.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/parallel.h"
#include "core/rng.h"
#include "train/detail/ranked_users.h"

namespace winnow {
namespace {

using detail::Evaluated;
using detail::items_of;

constexpr float kExcluded = -std::numeric_limits<float>::infinity();
constexpr uint64_t kSampling = uint64_t{0x736d706c} << 32;  // "smpl": apart from the streams of other draws
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

// The rank of each target of the user among n items drawn from those that may be ranked and are no targets. `row` has
// kExcluded at seen and barred items.
void rank_among_sampled(std::span<const float> row, const RankingOptions& options, Evaluated& user) {
  const auto may_be_drawn = [&](int64_t item) {
    return row[static_cast<size_t>(item)] != kExcluded &&
           !std::binary_search(user.targets.begin(), user.targets.end(), item);
  };
  const auto items = static_cast<int64_t>(row.size()), wanted = int64_t{options.sampled_negatives};
  int64_t able = 0;
  for (int64_t item = 0; item < items; ++item) able += may_be_drawn(item);
  std::vector<int64_t>& drawn = user.drawn;
  Rng rng(options.sampling_seed, kSampling | static_cast<uint64_t>(user.user));
  if (able <= 2 * wanted) {  // few to choose from: the first of a shuffle
    for (int64_t item = 0; item < items; ++item)
      if (may_be_drawn(item)) drawn.push_back(item);
    const auto n = static_cast<size_t>(std::min(able, wanted));
    for (size_t i = 0; i < n; ++i) std::swap(drawn[i], drawn[i + rng.below(drawn.size() - i)]);
    drawn.resize(n);
  } else {
    while (static_cast<int64_t>(drawn.size()) < wanted) {
      const auto item = static_cast<int64_t>(rng.below(row.size()));
      if (may_be_drawn(item) && std::ranges::find(drawn, item) == drawn.end()) drawn.push_back(item);
    }
  }
  for (const int64_t target : user.targets) {
    const float score = row[static_cast<size_t>(target)];
    user.sampled_ranks.push_back(1 + static_cast<size_t>(std::ranges::count_if(drawn, [&](int64_t item) {
                                   const float other = row[static_cast<size_t>(item)];
                                   return other > score || (other == score && item < target);
                                 })));
  }
}

// Fills top of every user with targets, some users at a time.
void rank_users(const RankingProblem& problem, const ScoreUsers& score, const RankingOptions& options,
                std::span<const uint8_t> barred, std::vector<Evaluated>& users) {
  const int64_t users_per_call = options.users_per_call;
  const int k = *std::max_element(options.ks.begin(), options.ks.end());
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
    for (auto u = first; u != last; ++u) {  // nothing may throw in the loop
      u->top.reserve(static_cast<size_t>(k));
      u->drawn.reserve(2 * static_cast<size_t>(options.sampled_negatives));
      if (options.sampled_negatives > 0) u->sampled_ranks.reserve(u->targets.size());
    }
    parallel_tasks(last - first, [&](int64_t i) {
      Evaluated& u = *(first + i);
      const auto row = std::span(scores).subspan(static_cast<size_t>(u.user - begin) * items, items);
      for (int64_t item : items_of(problem.seen, u.user)) row[static_cast<size_t>(item)] = kExcluded;
      for (size_t item = 0; item < items; ++item) {
        if (barred[item] != 0) row[item] = kExcluded;
        if (std::isnan(row[item]) && u.nan_item < 0) u.nan_item = static_cast<int64_t>(item);
      }
      if (u.nan_item >= 0) return;
      top_items(row, k, u.top);
      if (options.sampled_negatives > 0) rank_among_sampled(row, options, u);
    });
    for (auto u = first; u != last; ++u) {
      u->drawn = {};
      WN_CHECK(u->nan_item < 0, DataError, "ranking: user {}: the score of item {} is NaN", u->user, u->nan_item);
    }
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
  check_items("item_categories", problem.item_categories, problem.items, std::numeric_limits<int64_t>::max());
  WN_CHECK(problem.item_counts.empty() || static_cast<int64_t>(problem.item_counts.size()) == problem.items, DataError,
           "ranking: {} item_counts for {} items", problem.item_counts.size(), problem.items);
  WN_CHECK(options.sampled_negatives >= 0, ConfigError, "ranking: {} sampled negatives must not be negative",
           options.sampled_negatives);
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
  rank_users(problem, score, options, barred, users);
  detail::append_ranking_metrics(problem, options, users, barred, result);
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
