// Proposing points of a search space from the results of earlier ones. Everything here is a function of the seed, the
// number of the trial and the results of trials before it: the processes that run trials may end in any order.
#pragma once
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "train/tune/space.h"

namespace winnow {

struct SearchOptions {
  enum Method : uint8_t { Grid, Random, Tpe };
  Method method = Tpe;
  int64_t trials = 30;  // a grid has as many as it has points
  uint64_t seed = 1;
  // Trial t is proposed from the results of the trials up to t - lag, so that `lag` of them run at a time. The points
  // in between count as bad ones, or they would be proposed again.
  int64_t lag = 4;
  int64_t startup = 10;     // TPE: random trials before the first proposal
  double gamma = 0.15;      // TPE: the share of trials called good
  int64_t candidates = 24;  // TPE: drawn from the good ones' density for each dimension
};

// Tree-structured Parzen estimator (Bergstra, Bardenet, Bengio, Kegl 2011, "Algorithms for hyper-parameter
// optimization", section 4). The best gamma of the trials, at least one, give the density l of each dimension, the
// others the density g; of `candidates` draws from l the one with the largest l / g is proposed.
//   numbers: a mixture, equally weighted, of one Gaussian at each value, whose deviation is the larger of the distances
//            to its neighbours (the ends count), and the prior, a Gaussian at the middle as wide as the range; all cut
//            off at the ends, whole numbers by the mass of their bin
//   choices: (1 + count) / (choices + trials)
// A dimension sees the trials in which it is set. Trials that failed are the worst.
class Search {
 public:
  Search(SearchSpace space, SearchOptions options);  // ConfigError of SearchSpace::grid
  const SearchSpace& space() const { return space_; }
  int64_t trials() const { return trials_; }
  bool ready(int64_t trial) const;    // whether the results that the proposal needs are there
  const Point& point(int64_t trial);  // of a trial that is ready
  const std::optional<Point>& known_point(int64_t trial) const { return known_.at(static_cast<size_t>(trial)).point; }
  void tell(int64_t trial, std::optional<double> loss);  // lower is better; nothing: the trial failed

 private:
  struct Trial {
    std::optional<Point> point;
    std::optional<double> loss;
    bool told = false;
  };
  Point propose(int64_t trial);
  SearchSpace space_;
  SearchOptions options_;
  int64_t trials_;
  std::vector<Point> grid_;
  std::vector<Trial> known_;
};

// Successive halving (Jamieson and Talwalkar 2016; a bracket of Hyperband, Li et al. 2017): all trials with a small
// budget, the best 1 / eta of them with eta times as much, and so on up to the whole budget.
struct Rung {
  int64_t budget = 0;
  int64_t trials = 0;
  bool operator==(const Rung&) const = default;
};
// least <= budget of the first rung; the last rung has `most`. ConfigError: eta below 2, least above most, no trials.
std::vector<Rung> halving_rungs(int64_t trials, int64_t least, int64_t most, int64_t eta);
// The `count` trials with the lowest loss, in rising order of their numbers; equal losses: the lower number. Failed
// ones do not survive, so there may be fewer.
std::vector<int64_t> survivors(std::span<const std::pair<int64_t, std::optional<double>>> losses, int64_t count);

}  // namespace winnow
