// Quantiles of a stream in bounded memory, the same for the same stream.
#pragma once
#include <cstdint>
#include <utility>
#include <vector>

namespace winnow {

// Levels of up to kSize numbers, of weight 2^level. A full level is sorted and every other number, beginning with the
// first and the second in turn, moves up (Munro and Paterson 1980, with the alternation of Manku, Rajagopalan, Lindsay
// 1998). Exact up to kSize numbers; beyond that a rank is off by at most rank_error(), 2^level for each such move from
// a level. Memory: 8 kSize bytes a level, log2(n / kSize) levels.
class QuantileSketch {
 public:
  static constexpr size_t kSize = 16384;
  void add(double x);
  int64_t count() const { return count_; }
  int64_t rank_error() const { return rank_error_; }  // bound; 0: exact
  // q in [0, 1]: the number of rank floor(q (n - 1)); NaN without numbers.
  double quantile(double q) const { return quantiles({q})[0]; }
  std::vector<double> quantiles(const std::vector<double>& q) const;
  std::vector<std::pair<double, int64_t>> weighted() const;  // numbers ascending with their weights

 private:
  void compact(size_t level);
  struct Level {
    std::vector<double> numbers;
    bool second = false;
  };
  std::vector<Level> levels_;
  int64_t count_ = 0, rank_error_ = 0;
};

}  // namespace winnow
