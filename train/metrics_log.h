// <run>/metrics.jsonl: one JSON object a line. A run that was killed and resumed ends with the lines of one that was
// not, except for the values that are wall time (rows_per_second, tokens_per_second, seconds, time).
//   {"step", "epoch", "loss", "learning_rate", "gradient_norm", "rows_per_second", "time"}
//       at most kPointsPerEpoch an epoch and one at its last step; loss and gradient_norm are means over the steps
//       since the point before, learning_rate is the last step's; text jobs have tokens_per_second
//       instead of rows_per_second
//   {"step", "epoch", "train_loss", "learning_rate_factor", "seconds", "time", "valid_<metric>"...}   an epoch's end
//       and cache_hit_rate (nn/row_cache.h) with embedding_cache_rows: of the steps since the epoch or this start began
// epoch counts from 1, time is in seconds since 1970.
#pragma once
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace winnow {

inline constexpr int64_t kPointsPerEpoch = 200;

// The steps since the last point.
struct LossWindow {
  double loss = 0, gradient_norm = 0;  // sums
  int64_t steps = 0;
  void add(double step_loss, double step_norm) {
    loss += step_loss;
    gradient_norm += step_norm;
    ++steps;
  }
  // A function of the position alone, so that a resumed epoch has its points at the same steps.
  static bool ends_at(int64_t step_in_epoch, int64_t steps_per_epoch) {
    const int64_t interval = (steps_per_epoch + kPointsPerEpoch - 1) / kPointsPerEpoch;
    return interval <= 1 || step_in_epoch % interval == 0;
  }
};

class MetricsLog {
 public:
  explicit MetricsLog(const std::string& run_directory) : path_(run_directory + "/metrics.jsonl") {}
  // Keeps a line; the file follows at write(), or here when it is more than five seconds behind.
  void add(std::string line);
  void write();  // the file holds exactly the lines added so far; IoError
  // Takes the file's lines of an earlier start: the first `lines`, or with lines < 0 (a checkpoint that does not count
  // them) those up to `step`. A missing file has none; a line that is not a JSON object is left out.
  void restore(int64_t lines, int64_t step);
  const std::vector<std::string>& lines() const { return lines_; }

 private:
  std::string path_;
  std::vector<std::string> lines_;
  std::chrono::steady_clock::time_point written_ = std::chrono::steady_clock::now();
};

}  // namespace winnow
