// The losses over groups, one group at a time, in double. Formulas: ops/group_losses.h.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <utility>

#include "core/math.h"
#include "core/op.h"

namespace winnow::detail {

// What one group's loss reads. The rows are those of the group alone; `order` and `gains` are room for as many.
template <class T>
struct GroupRows {
  const T *scores, *ranked_by, *labels;
  int64_t count;
  int32_t* order;
  double* gains;
};
struct GroupOptions {
  double sigma = 1;
  int64_t truncation = 30;
  bool normalize = true, exponential_gain = true;
};

inline GroupOptions group_options(const Attrs& attrs) {
  GroupOptions o;
  o.sigma = attrs.number("sigma", o.sigma);
  o.truncation = attrs.integer("truncation", o.truncation);
  o.normalize = attrs.flag("normalize");
  o.exponential_gain = attrs.flag("exponential_gain");
  return o;
}

// The loss of one group; add(i, d) for each term d of its derivative by the score of row i.
template <class T, class Add>
double ranknet_group(const GroupRows<T>& r, const GroupOptions& o, const Add& add) {
  int64_t pairs = 0;
  for (int64_t i = 0; i < r.count; ++i)
    for (int64_t j = 0; j < r.count; ++j) pairs += r.labels[i] > r.labels[j];
  if (pairs == 0) return 0;
  const double each = 1 / static_cast<double>(pairs);
  double loss = 0;
  for (int64_t i = 0; i < r.count; ++i)
    for (int64_t j = 0; j < r.count; ++j) {
      if (!(r.labels[i] > r.labels[j])) continue;
      const double x = o.sigma * (static_cast<double>(r.scores[j]) - static_cast<double>(r.scores[i]));
      loss += math::softplus(x);
      const double lambda = each * o.sigma * math::sigmoid(x);
      add(i, -lambda);
      add(j, lambda);
    }
  return each * loss;
}

WN_HD double discount(int64_t rank) { return 1 / std::log2(static_cast<double>(rank) + 2); }  // rank from 0
WN_HD double gain(double label, bool exponential) { return exponential ? std::exp2(label) - 1 : label; }
// Whether row a stands before row b by falling key: NaN first, so that any input has an order.
template <class T>
WN_HD bool stands_before(const T* key, int32_t a, int32_t b) {
  const bool a_nan = key[a] != key[a], b_nan = key[b] != key[b];
  if (a_nan != b_nan) return a_nan;
  if (!a_nan && key[a] != key[b]) return key[a] > key[b];
  return a < b;
}

// Fills order (rows by falling ranked_by) and gains (of the rows); returns the DCG of the best order.
template <class T>
double rank_rows(const GroupRows<T>& r, const GroupOptions& o) {
  std::iota(r.order, r.order + r.count, 0);
  const auto falling = [](const T* key) { return [key](int32_t a, int32_t b) { return stands_before(key, a, b); }; };
  std::sort(r.order, r.order + r.count, falling(r.labels));
  for (int64_t i = 0; i < r.count; ++i) r.gains[i] = gain(static_cast<double>(r.labels[i]), o.exponential_gain);
  double best = 0;
  for (int64_t rank = 0; rank < std::min(r.count, o.truncation); ++rank)
    best += r.gains[r.order[rank]] * discount(rank);
  std::sort(r.order, r.order + r.count, falling(r.ranked_by));
  return best;
}

// visit(better row, worse row, weight of the pair), in an order that the scores decide.
template <class T, class Visit>
void for_each_weighted_pair(const GroupRows<T>& r, const GroupOptions& o, double best, const Visit& visit) {
  const bool spread = r.ranked_by[r.order[0]] != r.ranked_by[r.order[r.count - 1]];
  for (int64_t a = 0; a < std::min(r.count - 1, o.truncation); ++a)
    for (int64_t b = a + 1; b < r.count; ++b) {
      const int32_t first = r.order[a], second = r.order[b];
      if (r.labels[first] == r.labels[second]) continue;
      const bool right = r.labels[first] > r.labels[second];
      const int32_t i = right ? first : second, j = right ? second : first;
      double weight = (r.gains[i] - r.gains[j]) * (discount(a) - discount(b)) / best;
      if (o.normalize && spread)
        weight /= 0.01 + std::abs(static_cast<double>(r.ranked_by[i]) - static_cast<double>(r.ranked_by[j]));
      visit(i, j, weight);
    }
}

template <class T, class Add>
double lambdarank_group(const GroupRows<T>& r, const GroupOptions& o, const Add& add) {
  const double best = rank_rows(r, o);
  if (best <= 0) return 0;
  const auto difference = [&](const T* scores, int32_t i, int32_t j) {
    return o.sigma * (static_cast<double>(scores[j]) - static_cast<double>(scores[i]));
  };
  double scale = 1;
  if (o.normalize) {
    double total = 0;
    for_each_weighted_pair(r, o, best, [&](int32_t i, int32_t j, double weight) {
      total += 2 * o.sigma * weight * math::sigmoid(difference(r.ranked_by, i, j));
    });
    if (total > 0) scale = std::log2(1 + total) / total;
  }
  double loss = 0;
  for_each_weighted_pair(r, o, best, [&](int32_t i, int32_t j, double weight) {
    const double x = difference(r.scores, i, j);
    loss += weight * math::softplus(x);
    const double lambda = scale * o.sigma * weight * math::sigmoid(x);
    add(i, -lambda);
    add(j, lambda);
  });
  return scale * loss;
}

// log sum e^x, and the largest x
template <class T>
std::pair<double, double> log_sum_exp(const T* x, int64_t n) {
  double most = static_cast<double>(x[0]), sum = 0;
  for (int64_t i = 1; i < n; ++i) most = math::max(most, static_cast<double>(x[i]));
  for (int64_t i = 0; i < n; ++i) sum += std::exp(static_cast<double>(x[i]) - most);
  return {most + std::log(sum), most};
}
template <class T, class Add>
double listnet_group(const GroupRows<T>& r, const GroupOptions&, const Add& add) {
  const double of_scores = log_sum_exp(r.scores, r.count).first, of_labels = log_sum_exp(r.labels, r.count).first;
  double loss = 0;
  for (int64_t i = 0; i < r.count; ++i) {
    const double log_q = static_cast<double>(r.scores[i]) - of_scores;
    const double p = std::exp(static_cast<double>(r.labels[i]) - of_labels);
    loss -= p * log_q;
    add(i, std::exp(log_q) - p);
  }
  return loss;
}

}  // namespace winnow::detail
