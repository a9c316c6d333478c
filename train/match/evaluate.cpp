#include "train/match/evaluate.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/parallel.h"
#include "data/bm25.h"
#include "train/match/search.h"
#include "train/match/vectors.h"

namespace winnow {
namespace {

// Ranks from 1, equal values share the mean of theirs.
std::vector<double> ranks_of(std::span<const float> values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, {}, [&](size_t i) { return values[i]; });
  std::vector<double> ranks(values.size());
  for (size_t first = 0; first < order.size();) {
    size_t last = first + 1;
    while (last < order.size() && values[order[last]] == values[order[first]]) ++last;
    for (size_t i = first; i < last; ++i) ranks[order[i]] = static_cast<double>(first + last + 1) / 2;
    first = last;
  }
  return ranks;
}

double weighted_correlation(std::span<const double> a, std::span<const double> b, std::span<const uint32_t> counts) {
  double n = 0, sa = 0, sb = 0, ab = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double w = counts.empty() ? 1 : counts[i];
    n += w;
    sa += w * a[i];
    sb += w * b[i];
  }
  for (size_t i = 0; i < a.size(); ++i) {
    const double w = counts.empty() ? 1 : counts[i], da = a[i] - sa / n, db = b[i] - sb / n;
    ab += w * da * db;
    aa += w * da * da;
    bb += w * db * db;
  }
  return aa > 0 && bb > 0 ? ab / std::sqrt(aa * bb) : std::numeric_limits<double>::quiet_NaN();
}

// The queries of a split, what they are to find, and what is not ranked for them.
struct Problem {
  MatchData::Targets targets;
  std::vector<int64_t> seen_begin, seen;
  RankingProblem ranking(int64_t items) const {
    RankingProblem p;
    p.users = static_cast<int64_t>(targets.queries.size());
    p.items = items;
    p.positives = {targets.begin, targets.items};
    if (!seen_begin.empty()) p.seen = {seen_begin, seen};
    return p;
  }
};

Problem problem_of(const MatchData& data, const MatchEvaluationOptions& options, Split split, int64_t queries) {
  Problem p{data.targets(split), {}, {}};
  const auto all = static_cast<int64_t>(p.targets.queries.size());
  if (queries > 0 && all > queries) {
    MatchData::Targets some;
    for (int64_t i = 0; i < queries; ++i) {
      const auto q = static_cast<size_t>(i * all / queries);
      some.queries.push_back(p.targets.queries[q]);
      some.items.insert(some.items.end(), p.targets.items.begin() + p.targets.begin[q],
                        p.targets.items.begin() + p.targets.begin[q + 1]);
      some.begin.push_back(static_cast<int64_t>(some.items.size()));
    }
    p.targets = std::move(some);
  }
  WN_CHECK(!p.targets.queries.empty(), DataError, "the {} split has no query with an answer", name_of(split));
  if (!options.remove_known) return p;
  p.seen_begin = {0};
  for (const int32_t q : p.targets.queries) {
    const auto known = data.known_of(q);
    p.seen.insert(p.seen.end(), known.begin(), known.end());
    p.seen_begin.push_back(static_cast<int64_t>(p.seen.size()));
  }
  return p;
}

RankingOptions ranking_options(const MatchEvaluationOptions& o, int64_t items, bool intervals) {
  RankingOptions r;
  r.ks.clear();
  for (const int64_t k : o.ks)
    if (k <= items) r.ks.push_back(static_cast<int>(k));
  WN_CHECK(!r.ks.empty(), ConfigError, "evaluation.ks: all of them are above the number of items, {}", items);
  r.bootstrap.resamples = intervals ? o.resamples : 0;
  r.bootstrap.seed = o.seed;
  return r;
}

RankingResult rank_vectors(const Problem& problem, const MatchVectors& vectors, const RankingOptions& options) {
  const int64_t width = vectors.queries.shape()[1], items = vectors.items.shape()[0];
  Tensor asked({DType::F32, {static_cast<int64_t>(problem.targets.queries.size()), width}});
  for (size_t i = 0; i < problem.targets.queries.size(); ++i)
    std::copy_n(vectors.queries.data<float>() + int64_t{problem.targets.queries[i]} * width, width,
                asked.data<float>() + static_cast<int64_t>(i) * width);
  return evaluate_ranking(
      problem.ranking(items),
      [&](int64_t begin, int64_t end, std::span<float> scores) {
        similarity(asked, begin, end, vectors.items, scores.data());
      },
      options);
}

RankingResult rank_bm25(const Problem& problem, const MatchData& data, const RankingOptions& options) {
  const Bm25 bm25(data.items);
  const size_t items = data.items.size();
  return evaluate_ranking(
      problem.ranking(static_cast<int64_t>(items)),
      [&](int64_t begin, int64_t end, std::span<float> scores) {
        parallel_tasks(end - begin, [&](int64_t i) {
          const int32_t query = problem.targets.queries[static_cast<size_t>(begin + i)];
          bm25.score(data.queries[static_cast<size_t>(query)], scores.subspan(static_cast<size_t>(i) * items, items));
        });
      },
      options);
}

// Cosine and strength of the pairs of a split.
struct Graded {
  std::vector<float> cosines, strengths;
};
Graded graded_pairs(const MatchData& data, Split split, const MatchVectors& vectors) {
  Graded g;
  const int64_t width = vectors.queries.shape()[1];
  for (const MatchData::Pair& p : data.pairs[static_cast<size_t>(split)]) {
    const float *q = vectors.queries.data<float>() + int64_t{p.query} * width,
                *i = vectors.items.data<float>() + int64_t{p.item} * width;
    double sum = 0;
    for (int64_t k = 0; k < width; ++k) sum += static_cast<double>(q[k]) * static_cast<double>(i[k]);
    g.cosines.push_back(static_cast<float>(sum));
    g.strengths.push_back(p.strength);
  }
  return g;
}

// The interval resamples pairs and keeps the ranks that they have in the whole split.
MetricValue spearman_metric(const Graded& g, const MatchEvaluationOptions& o, bool interval) {
  MetricValue m{.name = "spearman", .value = spearman(g.cosines, g.strengths)};
  if (!m.value) m.reason = "all pairs have the same cosine or strength";
  if (!m.value || !interval || o.resamples == 0) return m;
  const std::vector<double> a = ranks_of(g.cosines), b = ranks_of(g.strengths);
  BootstrapOptions options;
  options.resamples = o.resamples;
  options.seed = o.seed;
  const Interval i = bootstrap(
      static_cast<int64_t>(a.size()), 1,
      [&](std::span<const uint32_t> counts, std::span<double> values) {
        values[0] = weighted_correlation(a, b, counts);
      },
      options)[0];
  m.low = i.low;
  m.high = i.high;
  return m;
}

bool has_grades(const MatchData& data) { return data.graded && !data.labelled; }

}  // namespace

std::optional<double> spearman(std::span<const float> a, std::span<const float> b) {
  const double r = weighted_correlation(ranks_of(a), ranks_of(b), {});
  return std::isnan(r) ? std::nullopt : std::optional(r);
}

std::vector<MetricValue> match_metrics(const MatchData& data, const MatchEvaluationOptions& options, Split split,
                                       const MatchVectors& vectors, int64_t queries) {
  const Problem problem = problem_of(data, options, split, queries);
  const auto items = static_cast<int64_t>(data.items.size());
  std::vector<MetricValue> metrics = rank_vectors(problem, vectors, ranking_options(options, items, false)).metrics;
  if (has_grades(data)) metrics.push_back(spearman_metric(graded_pairs(data, split, vectors), options, false));
  return metrics;
}

MatchReport evaluate_match(const MatchConfig& config, const MatchData& data, Split split, const MatchVectors& vectors,
                           const MatchVectors* zero_shot) {
  MatchReport report;
  report.model = config.model.two_towers ? "two towers" : "one tower";
  report.split = split;
  report.rows = static_cast<int64_t>(data.pairs[static_cast<size_t>(split)].size());
  report.items = static_cast<int64_t>(data.items.size());
  const Problem problem = problem_of(data, config.evaluation, split, 0);
  const RankingOptions options = ranking_options(config.evaluation, report.items, true);
  report.ranking = rank_vectors(problem, vectors, options);
  if (has_grades(data)) report.spearman = spearman_metric(graded_pairs(data, split, vectors), config.evaluation, true);
  if (!data.labelled) {
    const std::vector<int64_t> counts = data.item_counts();
    const std::vector<float> scores(counts.begin(), counts.end());
    report.baselines.push_back(
        {"popularity", evaluate_ranking(problem.ranking(report.items), score_items(scores), options)});
  }
  report.baselines.push_back({"bm25", rank_bm25(problem, data, options)});
  if (zero_shot != nullptr) report.baselines.push_back({"zero-shot", rank_vectors(problem, *zero_shot, options)});
  for (const int64_t dims : config.loss.prefixes)
    report.prefixes.push_back(
        {dims,
         rank_vectors(problem, {prefix_vectors(vectors.queries, dims), prefix_vectors(vectors.items, dims)}, options)});
  return report;
}

}  // namespace winnow
