#include "train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/error.h"

namespace winnow {

double scheduled_rate(const ScheduleOptions& o, int64_t step, int64_t total_steps) {
  const auto s = static_cast<double>(step), total = static_cast<double>(total_steps);
  const double warmup =
      o.warmup_fraction > 0 ? std::floor(o.warmup_fraction * total) : static_cast<double>(o.warmup_steps);
  if (s < warmup) return o.learning_rate * s / warmup;
  const double rest = std::max(1.0, total - warmup);
  const double done = std::clamp((s - warmup) / rest, 0.0, 1.0);
  if (o.name == "constant") return o.learning_rate;
  if (o.name == "linear") return o.learning_rate * (1 - done);
  if (o.name == "cosine") return o.learning_rate * 0.5 * (1 + std::cos(std::numbers::pi * done));
  if (o.name == "inverse_sqrt") return o.learning_rate * std::sqrt(std::max(warmup, 1.0) / std::max(s, 1.0));
  raise<ConfigError>("schedule '{}': use constant, linear, cosine or inverse_sqrt", o.name);
}

bool depends_on_total(const ScheduleOptions& o) {
  return o.name == "linear" || o.name == "cosine" || o.warmup_fraction > 0;
}

}  // namespace winnow
