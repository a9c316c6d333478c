#include "serve/recommend/rerank.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.h"

namespace winnow {
namespace {

// The position not taken of the largest value, the first of equals; -1: none is above the least double.
int64_t largest(std::span<const double> value, std::span<const char> taken) {
  int64_t best = -1;
  for (size_t i = 0; i < value.size(); ++i)
    if (taken[i] == 0 && (best < 0 || value[i] > value[static_cast<size_t>(best)])) best = static_cast<int64_t>(i);
  return best;
}

}  // namespace

void to_unit_range(std::span<double> x) {
  if (x.empty()) return;
  const auto [least, most] = std::ranges::minmax(x);
  for (double& v : x) v = most > least ? (v - least) / (most - least) : 1;
}

void mmr(std::span<const double> relevance, const PairSimilarity& similarity, double weight, int64_t k,
         std::vector<int64_t>& order, RerankScratch& s) {
  WN_CHECK(weight >= 0 && weight <= 1, ConfigError, "mmr: the weight {} lies in [0, 1]", weight);
  const auto n = static_cast<int64_t>(relevance.size());
  s.taken.assign(relevance.size(), 0);
  s.best.assign(relevance.size(), 0.0);  // similarities are no smaller
  s.value.resize(relevance.size());
  order.clear();
  while (static_cast<int64_t>(order.size()) < std::min(k, n)) {
    for (size_t i = 0; i < relevance.size(); ++i) {
      if (weight > 0 && !order.empty() && s.taken[i] == 0)
        s.best[i] = std::max(s.best[i], similarity(static_cast<int64_t>(i), order.back()));
      s.value[i] = (1 - weight) * relevance[i] - weight * s.best[i];
    }
    order.push_back(largest(s.value, s.taken));
    s.taken[static_cast<size_t>(order.back())] = 1;
  }
}

void greedy_dpp(std::span<const double> relevance, const PairSimilarity& similarity, double weight, int64_t k,
                std::vector<int64_t>& order, RerankScratch& s) {
  WN_CHECK(weight > 0 && weight <= 1, ConfigError, "dpp: the weight {} lies in (0, 1]", weight);
  const size_t n = relevance.size();
  const auto most = static_cast<size_t>(std::clamp<int64_t>(k, 0, static_cast<int64_t>(n)));
  // log q, so that a theta near 1 overflows nothing: the gain of i is 2 log q_i + log d_i^2 with d of S alone, since
  // det L = prod q^2 det S.
  const double log_q = weight >= 1 ? 0 : (1 - weight) / (2 * weight);
  s.taken.assign(n, 0);
  s.best.assign(n, 1.0);      // d_i^2
  s.value.resize(n);          // gains
  s.row.assign(most * n, 0);  // c of each position, a row a chosen one
  order.clear();
  while (order.size() < most) {
    for (size_t i = 0; i < n; ++i)
      s.value[i] =
          s.best[i] > 1e-10 ? 2 * log_q * relevance[i] + std::log(s.best[i]) : -std::numeric_limits<double>::infinity();
    const int64_t j = largest(s.value, s.taken);
    if (j < 0 || !std::isfinite(s.value[static_cast<size_t>(j)])) break;
    const auto at = static_cast<size_t>(j);
    const double d = std::sqrt(s.best[at]);
    const size_t step = order.size();
    s.taken[at] = 1;
    order.push_back(j);
    for (size_t i = 0; i < n; ++i) {
      if (s.taken[i] != 0) continue;
      double e = similarity(static_cast<int64_t>(i), j);
      for (size_t r = 0; r < step; ++r) e -= s.row[r * n + at] * s.row[r * n + i];
      e /= d;
      s.row[step * n + i] = e;
      s.best[i] -= e * e;
    }
  }
  while (order.size() < most) {
    order.push_back(largest(relevance, s.taken));
    s.taken[static_cast<size_t>(order.back())] = 1;
  }
}

}  // namespace winnow
