// Learning rate schedules: a function of the step, and the factor that plateaus multiply in.
#pragma once
#include <cstdint>
#include <string>

namespace winnow {

struct ScheduleOptions {
  std::string name = "constant";  // constant, linear (to 0 at the last step), cosine (to 0), inverse_sqrt
  double learning_rate = 1e-3;
  int64_t warmup_steps = 0;    // linear from 0
  double warmup_fraction = 0;  // > 0: warmup_steps is floor(this * all steps)
};

// ConfigError: an unknown name. total_steps: of the whole training.
double scheduled_rate(const ScheduleOptions& options, int64_t step, int64_t total_steps);  // step counts from 1

// Whether the rate of a step depends on how many there will be: linear and cosine,
// and a warm-up that is a fraction.
bool depends_on_total(const ScheduleOptions& options);

}  // namespace winnow
