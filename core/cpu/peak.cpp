#include "core/cpu/peak.h"

#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>

#include "core/cpu/peak_kernels.h"
#include "core/cpu/sgemm.h"
#include "core/parallel.h"
#include "core/tensor.h"

namespace winnow::cpu {
namespace {

double thread_seconds() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

double fma_peak(double (*burst)(int), int threads) {
  constexpr int kBursts = 60, kSteps = 50000;
  double total = 0;
#pragma omp parallel num_threads(threads) reduction(+ : total)
  {
    double best = 0;
    for (int i = 0; i < kBursts; ++i) {
      const double start = thread_seconds();
      const double flops = burst(kSteps);
      best = std::max(best, flops / (thread_seconds() - start));
    }
    total += best;
  }
  return total * 1e-9;
}

}  // namespace

double measure_fma_peak_gflops(int threads) {
  return fma_peak(has_isa(Isa::Avx512) ? fma_burst_avx512 : fma_burst_avx2, threads);
}
double measure_fma_peak_gflops_avx2(int threads) { return fma_peak(fma_burst_avx2, threads); }

double measure_copy_gbs(int threads) {
  constexpr int64_t kBytes = int64_t{128} << 20;
  constexpr int kRuns = 8;
  const auto from = std::make_unique_for_overwrite<char[]>(kBytes), to = std::make_unique_for_overwrite<char[]>(kBytes);
  double best = 0;
  for (int run = -1; run < kRuns; ++run) {  // the first run touches the pages
    const auto start = std::chrono::steady_clock::now();
#pragma omp parallel num_threads(threads)
    {
      const int64_t t = omp_get_thread_num(), team = omp_get_num_threads();
      const int64_t begin = kBytes * t / team, end = kBytes * (t + 1) / team;
      if (run < 0) std::memset(from.get() + begin, 1, static_cast<size_t>(end - begin));
      std::memcpy(to.get() + begin, from.get() + begin, static_cast<size_t>(end - begin));
    }
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (run >= 0) best = std::max(best, 2e-9 * static_cast<double>(kBytes) / seconds);
  }
  return best;
}

double measure_read_gbs(int threads) {
  constexpr int64_t kWords = int64_t{16} << 20;  // 128 MiB
  constexpr int kRuns = 12;
  const Tensor array = Tensor::zeros({DType::I64, {kWords}});
  const int64_t* words = array.data<int64_t>();
  double best = 0;
  for (int run = -1; run < kRuns; ++run) {
    int64_t sum = 0;
    const auto start = std::chrono::steady_clock::now();
#pragma omp parallel num_threads(threads) reduction(+ : sum)
    {
      const int64_t t = omp_get_thread_num(), team = omp_get_num_threads();
      for (int64_t i = kWords * t / team; i < kWords * (t + 1) / team; ++i) sum += words[i];
    }
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (run >= 0 && sum == 0) best = std::max(best, 8e-9 * static_cast<double>(kWords) / seconds);
  }
  return best;
}

}  // namespace winnow::cpu
