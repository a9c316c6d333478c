// Kernels of ranknet, lambdarank, listnet and of their gradients (kernels only: ops/*.cu), in double like the CPU's: a
// block has a group, a warp of it one row at a time, its lanes the partners of that row. Each row adds up its own
// derivative, so that no two threads meet. Arithmetic bounds them: the pairs of a group.
#pragma once
#include "core/cuda/totals.h"
#include "ops/detail/group_losses.h"

namespace winnow::detail {

using cuda::Largest, cuda::LossScale, cuda::Sum, cuda::Totals;

constexpr unsigned kGroupThreads = 128;

enum class GroupLoss : uint8_t { RankNet, LambdaRank, ListNet };
constexpr int inputs_of(GroupLoss loss) { return loss == GroupLoss::LambdaRank ? 4 : 3; }

struct GroupData {
  const float *scores, *ranked_by, *labels;
  const int64_t* offsets;
  int64_t groups, rows;
  int64_t* starts;            // [groups + 1]: of each group, the last its end
  Totals* losses;             // [groups]: loss, and 1 where the group counts
  double* sums;               // [rows]: derivatives
  double *gains, *discounts;  // [rows], lambdarank
  int32_t* order;             // [rows], lambdarank: rows of the group by falling ranked_by
};

// Offsets are data: nothing trusts them. A group begins where the one before ended at the earliest: starts are the
// running maxima of the offsets in [0, rows].
template <class Unused = void>
__global__ void __launch_bounds__(1024)
    group_starts(const int64_t* offsets, int64_t count, int64_t rows, int64_t* starts) {
  WN_SHARED(int64_t, largest, [1024]);
  const auto inside = [rows](int64_t offset) { return offset < 0 ? 0 : offset < rows ? offset : rows; };
  const int64_t each = (count + 1023) / 1024, first = threadIdx.x * each;
  const int64_t last = first + each < count ? first + each : count;
  int64_t most = 0;
  for (int64_t i = first; i < last; ++i) most = inside(offsets[i]) > most ? inside(offsets[i]) : most;
  largest[threadIdx.x] = most;
  __syncthreads();
  for (unsigned distance = 1; distance < 1024; distance *= 2) {
    const int64_t before = threadIdx.x >= distance ? largest[threadIdx.x - distance] : 0;
    __syncthreads();
    if (before > largest[threadIdx.x]) largest[threadIdx.x] = before;
    __syncthreads();
  }
  most = threadIdx.x > 0 ? largest[threadIdx.x - 1] : 0;
  for (int64_t i = first; i < last; ++i) starts[i] = most = inside(offsets[i]) > most ? inside(offsets[i]) : most;
}

// A group, as its block sees it: everything from its first row on.
struct Group {
  const float *scores, *ranked_by, *labels;
  double *sums, *gains, *discounts;
  int32_t *order, count;
  double* shared;
  __device__ Group(const GroupData& w, int64_t begin, int32_t rows, double* parts)
      : scores(w.scores + begin),
        ranked_by(w.ranked_by + begin),
        labels(w.labels + begin),
        sums(w.sums + begin),
        gains(w.gains + begin),
        discounts(w.discounts + begin),
        order(w.order + begin),
        count(rows),
        shared(parts) {}

  __device__ double sum(double value) const { return cuda::block_reduce(value, Sum(), shared); }
  // f(i) by each warp for its rows below n; f(j) by each lane for its rows from `from` to n
  template <class F>
  __device__ static void each_of_warps(int32_t n, F f) {
    for (auto i = static_cast<int32_t>(threadIdx.x / 32); i < n; i += kGroupThreads / 32) f(i);
  }
  template <class F>
  __device__ static void each_of_lanes(int32_t from, int32_t n, F f) {
    for (int32_t j = from + static_cast<int32_t>(threadIdx.x % 32); j < n; j += 32) f(j);
  }
  template <class F>
  __device__ void each_of_threads(F f) const {
    for (auto i = static_cast<int32_t>(threadIdx.x); i < count; i += kGroupThreads) f(i);
  }
  __device__ void store_sum(int32_t i, double lane_sum) const {
    lane_sum = cuda::warp_reduce(lane_sum, Sum());
    if (threadIdx.x % 32 == 0) sums[i] = lane_sum;
  }
};

__device__ inline double difference(const float* scores, double sigma, int32_t i, int32_t j) {
  return sigma * (static_cast<double>(scores[j]) - static_cast<double>(scores[i]));
}

template <bool kGradient>
__device__ double ranknet(const Group& g, const GroupOptions& o) {
  double pairs = 0;
  Group::each_of_warps(g.count, [&](int32_t i) {
    Group::each_of_lanes(0, g.count, [&](int32_t j) { pairs += g.labels[i] > g.labels[j]; });
  });
  pairs = g.sum(pairs);
  if (pairs == 0) return 0;
  double loss = 0;
  Group::each_of_warps(g.count, [&](int32_t i) {
    double sum = 0;
    Group::each_of_lanes(0, g.count, [&](int32_t j) {
      if (g.labels[i] > g.labels[j]) {
        const double x = difference(g.scores, o.sigma, i, j);
        kGradient ? sum -= math::sigmoid(x) : loss += math::softplus(x);
      } else if (kGradient && g.labels[j] > g.labels[i]) {
        sum += math::sigmoid(difference(g.scores, o.sigma, j, i));
      }
    });
    if (kGradient) g.store_sum(i, sum * (o.sigma / pairs));
  });
  return g.sum(loss) / pairs;
}

// Fills gains, discounts and order; returns the DCG of the best order.
__device__ inline double rank_rows(const Group& g, const GroupOptions& o) {
  double best = 0;
  Group::each_of_warps(g.count, [&](int32_t i) {
    double by_label = 0, by_score = 0;
    Group::each_of_lanes(0, g.count, [&](int32_t j) {
      by_label += stands_before(g.labels, j, i);
      by_score += stands_before(g.ranked_by, j, i);
    });
    by_label = cuda::warp_reduce(by_label, Sum());
    by_score = cuda::warp_reduce(by_score, Sum());
    if (threadIdx.x % 32 != 0) return;
    g.gains[i] = gain(static_cast<double>(g.labels[i]), o.exponential_gain);
    g.discounts[i] = discount(static_cast<int64_t>(by_score));
    g.order[static_cast<int32_t>(by_score)] = i;
    if (by_label < static_cast<double>(o.truncation)) best += g.gains[i] * discount(static_cast<int64_t>(by_label));
  });
  return g.sum(best);  // a barrier: what was filled is there for all
}
struct WeightedPairs {
  const Group& g;
  const GroupOptions& o;
  double per_best;  // 1 / DCG of the best order
  bool spread;
  int32_t cut;  // ranks of which one of a pair must have a lower one
  __device__ WeightedPairs(const Group& group, const GroupOptions& options, double best)
      : g(group),
        o(options),
        per_best(1 / best),
        spread(g.ranked_by[g.order[0]] != g.ranked_by[g.order[g.count - 1]]),
        cut(static_cast<int32_t>(o.truncation < g.count ? o.truncation : g.count)) {}
  // f(better row, worse row, weight) for the rows of ranks a < b
  template <class F>
  __device__ void visit(int32_t a, int32_t b, F f) const {
    const int32_t first = g.order[a], second = g.order[b];
    if (g.labels[first] == g.labels[second]) return;
    const bool right = g.labels[first] > g.labels[second];
    const int32_t i = right ? first : second, j = right ? second : first;
    double weight = (g.gains[i] - g.gains[j]) * (g.discounts[first] - g.discounts[second]) * per_best;
    if (o.normalize && spread)
      weight /= 0.01 + std::abs(static_cast<double>(g.ranked_by[i]) - static_cast<double>(g.ranked_by[j]));
    f(i, j, weight);
  }
  template <class F>
  __device__ void each(F f) const {
    Group::each_of_warps(cut,
                         [&](int32_t a) { Group::each_of_lanes(a + 1, g.count, [&](int32_t b) { visit(a, b, f); }); });
  }
};
template <bool kGradient>
__device__ double lambdarank(const Group& g, const GroupOptions& o) {
  const double best = rank_rows(g, o);
  if (best <= 0) return 0;
  const WeightedPairs pairs(g, o, best);
  double scale = 1;
  if (o.normalize) {
    double total = 0;
    pairs.each([&](int32_t i, int32_t j, double weight) {
      total += 2 * o.sigma * weight * math::sigmoid(difference(g.ranked_by, o.sigma, i, j));
    });
    total = g.sum(total);
    if (total > 0) scale = std::log2(1 + total) / total;
  }
  double loss = 0;
  if constexpr (kGradient)
    Group::each_of_warps(g.count, [&](int32_t a) {
      const int32_t mine = g.order[a];
      double sum = 0;
      Group::each_of_lanes(0, a < pairs.cut ? g.count : pairs.cut, [&](int32_t b) {
        if (a == b) return;
        pairs.visit(a < b ? a : b, a < b ? b : a, [&](int32_t i, int32_t j, double weight) {
          const double lambda = scale * o.sigma * weight * math::sigmoid(difference(g.scores, o.sigma, i, j));
          sum += mine == i ? -lambda : lambda;
        });
      });
      g.store_sum(mine, sum);
    });
  else
    pairs.each([&](int32_t i, int32_t j, double weight) {
      loss += weight * math::softplus(difference(g.scores, o.sigma, i, j));
    });
  return scale * g.sum(loss);
}

__device__ inline double log_sum_exp(const Group& g, const float* x) {
  double most = static_cast<double>(x[0]), sum = 0;
  g.each_of_threads([&](int32_t i) { most = math::max(most, static_cast<double>(x[i])); });
  most = cuda::block_reduce(most, Largest(), g.shared);
  g.each_of_threads([&](int32_t i) { sum += std::exp(static_cast<double>(x[i]) - most); });
  return most + std::log(g.sum(sum));
}
template <bool kGradient>
__device__ double listnet(const Group& g, const GroupOptions&) {
  const double of_scores = log_sum_exp(g, g.scores), of_labels = log_sum_exp(g, g.labels);
  double loss = 0;
  g.each_of_threads([&](int32_t i) {
    const double log_q = static_cast<double>(g.scores[i]) - of_scores;
    const double p = std::exp(static_cast<double>(g.labels[i]) - of_labels);
    kGradient ? g.sums[i] = std::exp(log_q) - p : loss -= p * log_q;
  });
  return g.sum(loss);
}

template <GroupLoss kLoss, bool kGradient>
__global__ void __launch_bounds__(kGroupThreads, 4) each_group(GroupData w, GroupOptions o) {
  WN_SHARED(double, parts, [33]);
  for (int64_t b = blockIdx.x; b < w.groups; b += gridDim.x) {
    const int64_t begin = w.starts[b];
    const Group g(w, begin, static_cast<int32_t>(w.starts[b + 1] - begin), &parts[0]);
    int counts = 0;
    g.each_of_threads([&](int32_t i) { counts |= kLoss == GroupLoss::ListNet || g.labels[i] != g.labels[0]; });
    counts = __syncthreads_or(counts);
    double loss = 0;
    if (counts) {
      if constexpr (kLoss == GroupLoss::RankNet) loss = ranknet<kGradient>(g, o);
      if constexpr (kLoss == GroupLoss::LambdaRank) loss = lambdarank<kGradient>(g, o);
      if constexpr (kLoss == GroupLoss::ListNet) loss = listnet<kGradient>(g, o);
    }
    if (threadIdx.x == 0) w.losses[b] = {loss, counts ? 1.0 : 0.0};
  }
}
template <class Unused = void>
__global__ void __launch_bounds__(256) scale_sums(const double* sums, LossScale mean, float* dx, int64_t rows) {
  const double scale = mean();
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < rows; i += step)
    dx[i] = static_cast<float>(scale * sums[i]);
}

}  // namespace winnow::detail
