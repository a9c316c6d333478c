// Parallel loops on one OpenMP team of fixed size, shared with oneDNN. A loop uses all of the team or none of it.
#pragma once
#include <omp.h>

#include <algorithm>
#include <cstdint>

namespace winnow {

void set_num_threads(int threads);  // of the calling (compute) thread; ConfigError unless 1..1024
int num_threads();

// The one compiled copy of a loop body: were f inlined into the serial and into the parallel branch, the two could be
// vectorised or contracted differently, and bits would depend on the number of threads.
template <class F>
#if defined(__clang__)
[[gnu::noinline]]
#else
[[gnu::noipa]]
#endif
void run_range(F& f, int64_t begin, int64_t end) {
  f(begin, end);
}

// f(begin, end) over disjoint ranges covering [0, n). Which range runs where is not specified, so results must not
// depend on it: use it for independent elements, and reduce over blocks of a size fixed by the shape.
// grain: the smallest range worth a thread.
template <class F>
void parallel_for(int64_t n, int64_t grain, F&& f) {
  if (n <= 0) return;
  const int threads = num_threads();
  if (threads == 1 || n <= grain || omp_in_parallel() != 0) {
    run_range(f, 0, n);
    return;
  }
#pragma omp parallel num_threads(threads)
  {
    const int64_t t = omp_get_thread_num(), team = omp_get_num_threads();
    const int64_t begin = n * t / team, end = n * (t + 1) / team;
    if (begin < end) run_range(f, begin, end);
  }
}

// f(i) for i in [0, n), handed out one by one: for tasks of unequal cost.
template <class F>
void parallel_tasks(int64_t n, F&& f) {
  const int threads = num_threads();
  if (threads == 1 || n <= 1 || omp_in_parallel() != 0) {
    for (int64_t i = 0; i < n; ++i) f(i);
    return;
  }
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1)
  for (int64_t i = 0; i < n; ++i) f(i);
}

}  // namespace winnow
