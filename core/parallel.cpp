#include "core/parallel.h"

#include "core/error.h"

namespace winnow {

void set_num_threads(int threads) {
  WN_CHECK(threads >= 1 && threads <= 1024, ConfigError, "--threads {}: must be between 1 and 1024", threads);
  omp_set_dynamic(0);
  omp_set_num_threads(threads);
}
int num_threads() { return omp_get_max_threads(); }

}  // namespace winnow
