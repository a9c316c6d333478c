#include "serve/recommend/co_occurrence.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "core/parallel.h"

namespace winnow {
namespace {

constexpr double kDay = 86400;

// The distinct items of each user, with the time of the last taking, and who they are of each item.
struct Histories {
  std::vector<int64_t> user_begin, item_begin;
  std::vector<int32_t> item, user;
  std::vector<int64_t> time, time_of_user;  // of (user, item) in the order of either
  std::vector<double> weight, count;        // w_u, n_i
  double total_weight = 0;
};

void weigh_users(const CoOccurrenceOptions& o, Histories& h) {
  const size_t users = h.user_begin.size() - 1;
  h.count.assign(h.item_begin.size() - 1, 0.0);
  for (size_t u = 0; u < users; ++u) {
    const auto items = static_cast<double>(h.user_begin[u + 1] - h.user_begin[u]);
    // below 0: more items than users
    h.weight.push_back(
        o.inverse_user_frequency ? std::max(std::log((1 + static_cast<double>(users)) / (1 + items)), 0.0) : 1);
    h.total_weight += h.weight[u];
    for (int64_t n = h.user_begin[u]; n < h.user_begin[u + 1]; ++n)
      h.count[static_cast<size_t>(h.item[static_cast<size_t>(n)])] += h.weight[u];
  }
}

Histories distinct(const Interactions& all, int64_t most) {
  Histories h;
  h.user_begin.assign(1, 0);
  std::vector<int64_t> last_user(static_cast<size_t>(all.items), -1);
  std::vector<int64_t> taken_by(static_cast<size_t>(all.items) + 1);
  for (int64_t u = 0; u < all.users; ++u) {
    const int64_t begin = all.offsets[static_cast<size_t>(u)], end = all.offsets[static_cast<size_t>(u) + 1];
    int64_t kept = 0;
    for (int64_t n = end; n-- > begin && kept < most;) {
      const auto item = static_cast<size_t>(all.item[static_cast<size_t>(n)]);
      if (last_user[item] == u) continue;
      last_user[item] = u;
      h.item.push_back(static_cast<int32_t>(item));
      h.time.push_back(all.time[static_cast<size_t>(n)]);
      ++taken_by[item + 1];
      ++kept;
    }
    h.user_begin.push_back(static_cast<int64_t>(h.item.size()));
  }
  std::partial_sum(taken_by.begin(), taken_by.end(), taken_by.begin());
  h.item_begin = taken_by;
  h.user.resize(h.item.size());
  h.time_of_user.resize(h.item.size());
  for (int64_t u = 0; u < all.users; ++u)
    for (int64_t n = h.user_begin[static_cast<size_t>(u)]; n < h.user_begin[static_cast<size_t>(u) + 1]; ++n) {
      const auto at = static_cast<size_t>(taken_by[static_cast<size_t>(h.item[static_cast<size_t>(n)])]++);
      h.user[at] = static_cast<int32_t>(u);
      h.time_of_user[at] = h.time[static_cast<size_t>(n)];
    }
  return h;
}

double weight_of(const CoOccurrenceOptions& o, double together, double n_i, double n_j, double total) {
  const double trust = together / (together + o.shrinkage);
  switch (o.weight) {
    case CoOccurrenceOptions::Cosine: return trust * together / std::sqrt(n_i * n_j);
    case CoOccurrenceOptions::Conditional: return trust * together / (n_i * std::pow(n_j, o.alpha));
    case CoOccurrenceOptions::Lift: return trust * together * total / (n_i * n_j);
  }
  return 0;
}

struct Neighbour {
  int32_t item;
  float weight;
};

// Counts of one row of c at a time: a number an item, however large the catalogue's square is.
class Row {
 public:
  Row(const Histories& histories, const CoOccurrenceOptions& options)
      : h_(histories), o_(options), together_(histories.count.size()) {}

  std::vector<Neighbour> operator()(int64_t item) {
    touched_.clear();
    for (int64_t n = h_.item_begin[static_cast<size_t>(item)]; n < h_.item_begin[static_cast<size_t>(item) + 1]; ++n)
      add_user(item, h_.user[static_cast<size_t>(n)], h_.time_of_user[static_cast<size_t>(n)]);
    std::vector<Neighbour> best;
    for (const int32_t other : touched_) {
      const double together = std::exchange(together_[static_cast<size_t>(other)], 0.0);
      const auto weight = static_cast<float>(weight_of(o_, together, count(item), count(other), h_.total_weight));
      if (weight > 0) best.push_back({other, weight});
    }
    const auto order = [](const Neighbour& a, const Neighbour& b) {
      return a.weight != b.weight ? a.weight > b.weight : a.item < b.item;
    };
    const auto n = std::min(best.size(), static_cast<size_t>(o_.neighbours));
    std::partial_sort(best.begin(), best.begin() + static_cast<std::ptrdiff_t>(n), best.end(), order);
    best.resize(n);
    return best;
  }

 private:
  double count(int64_t item) const { return h_.count[static_cast<size_t>(item)]; }
  void add_user(int64_t item, int32_t user, int64_t time) {
    for (int64_t n = h_.user_begin[static_cast<size_t>(user)]; n < h_.user_begin[static_cast<size_t>(user) + 1]; ++n) {
      const int32_t other = h_.item[static_cast<size_t>(n)];
      if (other == item) continue;
      double part = h_.weight[static_cast<size_t>(user)];
      if (o_.pair_half_life_days > 0)
        part *= std::exp2(-std::abs(static_cast<double>(h_.time[static_cast<size_t>(n)] - time)) /
                          (o_.pair_half_life_days * kDay));
      double& sum = together_[static_cast<size_t>(other)];
      if (part <= 0) continue;
      if (sum == 0) touched_.push_back(other);
      sum += part;
    }
  }
  const Histories& h_;
  const CoOccurrenceOptions& o_;
  std::vector<double> together_;
  std::vector<int32_t> touched_;
};

}  // namespace

ItemNeighbours::ItemNeighbours(const Interactions& all, const CoOccurrenceOptions& options) {
  Histories histories = distinct(all, options.most_history);
  weigh_users(options, histories);
  std::vector<std::vector<Neighbour>> rows(static_cast<size_t>(all.items));
  constexpr int64_t kBlock = 256;
  parallel_tasks((all.items + kBlock - 1) / kBlock, [&](int64_t block) {
    Row row(histories, options);
    for (int64_t i = block * kBlock; i < std::min(all.items, (block + 1) * kBlock); ++i)
      rows[static_cast<size_t>(i)] = row(i);
  });
  begin_.assign(1, 0);
  for (auto& row : rows) {
    for (const Neighbour& n : row) {
      items_.push_back(n.item);
      weights_.push_back(n.weight);
    }
    begin_.push_back(static_cast<int64_t>(items_.size()));
    row = {};
  }
}

double decay(int64_t time, int64_t now, double half_life_days) {
  if (half_life_days <= 0 || time >= now) return 1;
  return std::exp2(-static_cast<double>(now - time) / (half_life_days * kDay));
}

void weigh_history(const CandidateRequest& request, const HistoryWeights& options, std::vector<int64_t>& items,
                   std::vector<float>& weights) {
  items.clear();
  weights.clear();
  for (size_t n = request.history.size(); n-- > 0 && static_cast<int64_t>(items.size()) < options.most;) {
    const TakenItem& taken = request.history[n];
    if (std::ranges::find(items, taken.item) != items.end()) continue;
    items.push_back(taken.item);
    weights.push_back(static_cast<float>(decay(taken.time, request.now, options.half_life_days)));
  }
}

CoOccurrenceSource::CoOccurrenceSource(std::shared_ptr<const ItemNeighbours> neighbours, HistoryWeights history)
    : neighbours_(std::move(neighbours)), history_(history) {}

void CoOccurrenceSource::candidates(const CandidateRequest& request, int64_t limit, std::vector<Candidate>& out) const {
  SourceScratch& scratch = *request.scratch;
  weigh_history(request, history_, scratch.items, scratch.weights);
  scratch.board.start(neighbours_->items());
  for (size_t n = 0; n < scratch.items.size(); ++n) {
    const auto others = neighbours_->of(scratch.items[n]);
    const auto weights = neighbours_->weights(scratch.items[n]);
    for (size_t j = 0; j < others.size(); ++j)
      scratch.board.add(others[j], scratch.weights[n] * weights[j], scratch.items[n]);
  }
  scratch.board.take(limit, *request.may, "bought together with", out);
}

}  // namespace winnow
