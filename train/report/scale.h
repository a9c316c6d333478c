// Axes of charts: which numbers get a tick, where a value lies, how numbers are written.
#pragma once
#include <string>
#include <vector>

namespace winnow {

// Multiples of 1, 2 or 5 times a power of ten inside [low, high], about `wanted` of them; at least one when low < high.
std::vector<double> nice_ticks(double low, double high, int wanted);
// Powers of ten inside [low, high], with 2 and 5 times them when there are few; 0 < low.
std::vector<double> log_ticks(double low, double high);

// One direction of a chart.
class Scale {
 public:
  // Values in [low, high] lie between `from` and `to` units of the drawing. Equal or non-finite bounds are widened; a
  // log scale with low <= 0 is made linear.
  Scale(double low, double high, double from, double to, bool log = false);
  double at(double value) const;  // clamped to the ends
  std::vector<double> ticks(int wanted) const;
  std::vector<std::string> labels(
      const std::vector<double>& ticks) const;  // with as many decimals as the step asks for
  double low() const { return low_; }
  double high() const { return high_; }

 private:
  double low_, high_, from_, to_;
  bool log_;
};

// "0.0314", "12 400", "3.1 M", "2e-05": for axes and tooltips.
std::string short_number(double value);
std::string grouped(int64_t value);  // "12 400", with thin spaces
std::string count_text(
    double value);  // a number that should be whole: grouped, or as short_number when it is too large
std::string bytes_text(double bytes);  // "1.2 MiB"
std::string percent(double fraction);  // "12.3 %"

}  // namespace winnow
