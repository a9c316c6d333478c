#include "train/tune/search.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

namespace winnow {
namespace {

double cumulative(double z) { return 0.5 * std::erfc(-z / std::numbers::sqrt2); }

// The mixture of cut off Gaussians over one numeric dimension.
class Parzen {
 public:
  Parzen(const Dimension& dimension, std::vector<double> centers)
      : dimension_(dimension), least_(dimension.least()), most_(dimension.most()) {
    const double range = most_ - least_;
    std::sort(centers.begin(), centers.end());
    const size_t n = centers.size();
    const double narrowest = range / static_cast<double>(std::min<size_t>(100, n + 2));
    for (size_t i = 0; i < n; ++i) {
      const double left = centers[i] - (i == 0 ? least_ : centers[i - 1]),
                   right = (i + 1 == n ? most_ : centers[i + 1]) - centers[i];
      add(centers[i], std::clamp(std::max(left, right), narrowest, range));
    }
    add((least_ + most_) / 2, range);  // the prior
  }
  double draw(Rng& rng) const {
    const Bump& bump = bumps_[rng.below(bumps_.size())];
    for (;;) {  // the mean lies inside and the deviation is at most the range: a third of the draws or more stay
      const double x = bump.mean + bump.deviation * rng.normal();
      if (x >= least_ && x <= most_) return dimension_.at(x);
    }
  }
  // log of the density at a value, or of its bin's mass
  double score(double value) const {
    double total = 0;
    if (dimension_.is_discrete()) {
      const auto [low, high] = dimension_.bin(value);
      for (const Bump& b : bumps_)
        total += (cumulative((high - b.mean) / b.deviation) - cumulative((low - b.mean) / b.deviation)) / b.mass;
    } else {
      const double x = dimension_.center(value);
      for (const Bump& b : bumps_) {
        const double z = (x - b.mean) / b.deviation;
        total += std::exp(-z * z / 2) / (b.deviation * b.mass);
      }
    }
    return std::log(total / static_cast<double>(bumps_.size()) + 1e-300);
  }

 private:
  struct Bump {
    double mean, deviation, mass;  // mass: of the Gaussian inside the range
  };
  void add(double mean, double deviation) {
    bumps_.push_back(
        {mean, deviation, cumulative((most_ - mean) / deviation) - cumulative((least_ - mean) / deviation)});
  }
  const Dimension& dimension_;
  double least_, most_;
  std::vector<Bump> bumps_;
};

class Counts {
 public:
  Counts(const Dimension& dimension, const std::vector<double>& values) : weights_(dimension.choices.size(), 1.0) {
    for (const double v : values) weights_[static_cast<size_t>(v)] += 1;
  }
  double draw(Rng& rng) const {
    double rest = rng.uniform() * std::accumulate(weights_.begin(), weights_.end(), 0.0);
    size_t i = 0;
    for (; i + 1 < weights_.size() && rest >= weights_[i]; ++i) rest -= weights_[i];
    return static_cast<double>(i);
  }
  double score(double value) const {
    return std::log(weights_[static_cast<size_t>(value)] / std::accumulate(weights_.begin(), weights_.end(), 0.0));
  }

 private:
  std::vector<double> weights_;
};

template <class Density>
double best_draw(const Density& good, const Density& bad, int64_t candidates, Rng& rng) {
  double best = 0, best_ratio = -INFINITY;
  for (int64_t k = 0; k < candidates; ++k) {
    const double value = good.draw(rng), ratio = good.score(value) - bad.score(value);
    if (ratio <= best_ratio) continue;
    best = value;
    best_ratio = ratio;
  }
  return best;
}

std::vector<double> values_of(size_t dimension, const std::vector<const Point*>& points) {
  std::vector<double> values;
  for (const Point* p : points)
    if (!std::isnan((*p)[dimension])) values.push_back((*p)[dimension]);
  return values;
}

double propose_one(const Dimension& d, size_t i, const std::vector<const Point*>& good,
                   const std::vector<const Point*>& bad, int64_t candidates, Rng& rng) {
  std::vector<double> l = values_of(i, good), g = values_of(i, bad);
  if (d.kind == Dimension::Choice) return best_draw(Counts(d, l), Counts(d, g), candidates, rng);
  for (auto* values : {&l, &g})
    for (double& v : *values) v = d.center(v);
  return best_draw(Parzen(d, std::move(l)), Parzen(d, std::move(g)), candidates, rng);
}

}  // namespace

Search::Search(SearchSpace space, SearchOptions options)
    : space_(std::move(space)), options_(options), trials_(options.trials) {
  if (options_.method == SearchOptions::Grid) {
    grid_ = space_.grid();
    trials_ = static_cast<int64_t>(grid_.size());
  }
  WN_CHECK(trials_ >= 1 && options_.lag >= 1, ConfigError, "a search needs at least one trial and a lag of one");
  known_.resize(static_cast<size_t>(trials_));
}

bool Search::ready(int64_t trial) const {
  if (options_.method != SearchOptions::Tpe || trial < options_.startup) return true;
  for (int64_t t = 0; t <= trial - options_.lag; ++t)
    if (!known_[static_cast<size_t>(t)].told) return false;
  return true;
}

const Point& Search::point(int64_t trial) {
  Trial& t = known_.at(static_cast<size_t>(trial));
  if (!t.point) t.point = propose(trial);
  return *t.point;
}

void Search::tell(int64_t trial, std::optional<double> loss) {
  Trial& t = known_.at(static_cast<size_t>(trial));
  t.loss = loss && std::isnan(*loss) ? std::nullopt : loss;
  t.told = true;
}

Point Search::propose(int64_t trial) {
  if (options_.method == SearchOptions::Grid) return grid_[static_cast<size_t>(trial)];
  Rng rng(options_.seed, static_cast<uint64_t>(trial) + 1);
  const int64_t seen = trial - options_.lag + 1;
  if (options_.method == SearchOptions::Random || trial < options_.startup || seen < 1) return space_.sample(rng);
  std::vector<int64_t> order(static_cast<size_t>(seen));
  std::iota(order.begin(), order.end(), int64_t{0});
  const auto loss = [&](int64_t t) { return known_[static_cast<size_t>(t)].loss.value_or(INFINITY); };
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return loss(a) < loss(b); });
  const auto count = static_cast<size_t>(std::ceil(options_.gamma * static_cast<double>(seen)));
  std::vector<const Point*> good, bad;
  for (const int64_t t : order) (good.size() < count && std::isfinite(loss(t)) ? good : bad).push_back(&point(t));
  for (int64_t t = seen; t < trial; ++t) bad.push_back(&point(t));
  Point next(space_.dimensions().size(), std::numeric_limits<double>::quiet_NaN());
  for (size_t i = 0; i < next.size(); ++i)
    if (space_.is_set(i, next)) next[i] = propose_one(space_.dimensions()[i], i, good, bad, options_.candidates, rng);
  return next;
}

std::vector<Rung> halving_rungs(int64_t trials, int64_t least, int64_t most, int64_t eta) {
  WN_CHECK(eta >= 2, ConfigError, "successive halving: eta must be at least 2, found {}", eta);
  WN_CHECK(trials >= 1, ConfigError, "successive halving: no trials");
  WN_CHECK(least >= 1 && least <= most, ConfigError,
           "successive halving: the least budget {} must be from 1 to the whole budget {}", least, most);
  std::vector<Rung> rungs;
  int64_t budget = most;
  for (; budget >= least; budget /= eta) {
    rungs.push_back({budget, 0});
    if (budget / eta < 1) break;
  }
  std::reverse(rungs.begin(), rungs.end());
  for (Rung& rung : rungs) {
    rung.trials = std::max<int64_t>(1, trials);
    trials /= eta;
  }
  return rungs;
}

std::vector<int64_t> survivors(std::span<const std::pair<int64_t, std::optional<double>>> losses, int64_t count) {
  std::vector<std::pair<double, int64_t>> order;
  for (const auto& [trial, loss] : losses)
    if (loss && !std::isnan(*loss)) order.emplace_back(*loss, trial);
  std::sort(order.begin(), order.end());
  order.resize(std::min(order.size(), static_cast<size_t>(count)));
  std::vector<int64_t> kept;
  for (const auto& [loss, trial] : order) kept.push_back(trial);
  std::sort(kept.begin(), kept.end());
  return kept;
}

}  // namespace winnow
