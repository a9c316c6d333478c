#include "train/report/scale.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace winnow {

std::vector<double> nice_ticks(double low, double high, int wanted) {
  if (!std::isfinite(low) || !std::isfinite(high) || low >= high) return {};
  const double rough = (high - low) / std::max(3, wanted);  // a step below the range has a multiple in it
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  if (!(power > 0) || !std::isfinite(power)) return {low};
  const double mantissa = rough / power, step = power * (mantissa <= 1.5   ? 1
                                                         : mantissa <= 3.5 ? 2
                                                         : mantissa <= 7.5 ? 5
                                                                           : 10);
  const double slack = 1e-9 * (high - low), last = std::floor((high + slack) / step);
  std::vector<double> ticks;
  for (double k = std::ceil((low - slack) / step); k <= last && ticks.size() < 100; ++k)
    ticks.push_back(k * step + 0.0);
  return ticks.empty() ? std::vector<double>{low} : ticks;
}

std::vector<double> log_ticks(double low, double high) {
  std::vector<double> decades, all;
  for (double e = std::floor(std::log10(low)); e <= std::ceil(std::log10(high)); ++e)
    for (const double m : {1.0, 2.0, 5.0}) {
      const double v = m * std::pow(10.0, e);
      if (v < low * (1 - 1e-9) || v > high * (1 + 1e-9)) continue;
      all.push_back(v);
      if (m == 1) decades.push_back(v);
    }
  if (decades.size() < 3)
    return all.size() > 6 ? std::vector<double>{all.front(), all[all.size() / 2], all.back()} : all;
  const size_t every = (decades.size() + 5) / 6;
  std::vector<double> ticks;
  for (size_t i = 0; i < decades.size(); i += every) ticks.push_back(decades[i]);
  return ticks;
}

Scale::Scale(double low, double high, double from, double to, bool log)
    : low_(low), high_(high), from_(from), to_(to), log_(log && low > 0 && std::isfinite(high)) {
  if (!std::isfinite(low_) || !std::isfinite(high_) || low_ > high_) low_ = 0, high_ = 1;
  if (high_ - low_ <= 1e-12 * std::max(std::abs(low_), std::abs(high_))) {
    const double pad = low_ == 0 ? 0.5 : std::abs(low_) * 0.05;
    high_ += pad;
    low_ -= pad;
  }
}

double Scale::at(double value) const {
  const auto unit = [&](double v) { return log_ ? std::log10(v) : v; };
  const double v = std::clamp(value, low_, high_);
  return from_ + (to_ - from_) * (unit(v) - unit(low_)) / (unit(high_) - unit(low_));
}

std::vector<double> Scale::ticks(int wanted) const {
  return log_ ? log_ticks(low_, high_) : nice_ticks(low_, high_, wanted);
}

std::string grouped(int64_t value) {
  std::string digits = fmt::format("{}", value);
  for (int64_t i = static_cast<int64_t>(digits.size()) - 3; i > (value < 0 ? 1 : 0); i -= 3)
    digits.insert(static_cast<size_t>(i), "\u202f");
  return digits;
}

std::string count_text(double value) {
  return std::abs(value) < 1e15 ? grouped(std::llround(value)) : short_number(value);
}

std::string short_number(double value) {
  const double size = std::abs(value);
  if (!std::isfinite(value)) return "-";
  if (size >= 1e15) return fmt::format("{:.3g}", value);
  if (size >= 1e9) return fmt::format("{:.4g} G", value / 1e9);
  if (size >= 1e6) return fmt::format("{:.4g} M", value / 1e6);
  if (size >= 1e4) return grouped(std::llround(value));
  return fmt::format("{:.4g}", value);
}

std::string bytes_text(double bytes) {
  if (bytes < 1024) return fmt::format("{:.0f} B", bytes);
  if (bytes < 1048576) return fmt::format("{:.3g} KiB", bytes / 1024);
  if (bytes < 1073741824) return fmt::format("{:.3g} MiB", bytes / 1048576);
  return fmt::format("{:.3g} GiB", bytes / 1073741824);
}

std::string percent(double fraction) { return fmt::format("{:.3g} %", 100 * fraction); }

std::vector<std::string> Scale::labels(const std::vector<double>& ticks) const {
  double step = INFINITY, largest = 0;
  for (size_t i = 0; i < ticks.size(); ++i) {
    largest = std::max(largest, std::abs(ticks[i]));
    if (i > 0) step = std::min(step, ticks[i] - ticks[i - 1]);
  }
  const bool plain = !log_ && std::isfinite(step) && largest < 1e4 && step >= 1e-4 && largest / step < 1e4;
  const int decimals = plain ? std::max(0, static_cast<int>(std::ceil(-std::log10(step) - 1e-9))) : 0;
  std::vector<std::string> labels;
  for (const double t : ticks) labels.push_back(plain ? fmt::format("{:.{}f}", t, decimals) : short_number(t));
  return labels;
}

}  // namespace winnow
