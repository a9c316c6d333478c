// Search among vectors beside what the machine can do: exact, int8 and HNSW. Prints one line `name[config] value unit |
// details` a measurement; bench/compare_topk.sh runs it in turn with its peers.
#include <CLI/CLI.hpp>
#include <chrono>
#include <ctime>
#include <iostream>

#include "core/cpu/peak.h"
#include "core/cpu/topk.h"
#include "core/parallel.h"
#include "core/rng.h"
#include "core/tensor.h"

namespace winnow {
namespace {

struct Options {
  std::string what = "exact";
  int64_t n = 1'000'000, d = 128, batch = 1, k = 100;
  int threads = 2;
  double seconds = 6;
};

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double cpu_seconds() {
  timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

struct Time {
  double wall = 0,
         cpu = 0;  // median of repeated runs after one; the processor's seconds of one: fit for a busy machine
};
template <class F>
Time timed(double budget, F&& f) {
  f();
  std::vector<double> times;
  const double cpu = cpu_seconds();
  for (double spent = 0; spent < budget || times.size() < 3; spent += times.back()) {
    const auto start = std::chrono::steady_clock::now();
    f();
    times.push_back(seconds_since(start));
  }
  const double mean_cpu = (cpu_seconds() - cpu) / static_cast<double>(times.size());
  std::nth_element(times.begin(), times.begin() + static_cast<int64_t>(times.size() / 2), times.end());
  return {times[times.size() / 2], mean_cpu};
}

void normalise(float* x, int64_t d) {
  double squares = 0;
  for (int64_t i = 0; i < d; ++i) squares += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  for (int64_t i = 0; i < d; ++i) x[i] = static_cast<float>(static_cast<double>(x[i]) / std::sqrt(squares));
}

Tensor normal_rows(int64_t n, int64_t d, uint64_t seed) {
  Tensor t({DType::F32, {n, d}});
  float* x = t.data<float>();
  parallel_for(n, 1024, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      Rng rng(seed, static_cast<uint64_t>(r));
      for (int64_t i = 0; i < d; ++i) x[r * d + i] = static_cast<float>(rng.normal());
      normalise(x + r * d, d);
    }
  });
  return t;
}

void run_exact(const Options& o) {
  const Tensor rows = normal_rows(o.n, o.d, 0), queries = normal_rows(o.batch, o.d, 1);
  std::vector<cpu::ScoredRow> out(static_cast<size_t>(o.batch * o.k));
  const cpu::TopkProblem problem{queries.data<float>(), o.batch, rows.data<float>(), o.n, o.d, o.k, nullptr, {}};
  const Time time = timed(o.seconds, [&] { cpu::topk(problem, out.data()); });
  const double s = time.wall;
  const double gbs = 4e-9 * static_cast<double>(rows.numel()) / s;
  const double gflops = 2e-9 * static_cast<double>(rows.numel() * o.batch) / s;
  fmt::print(
      "topk[exact,{}x{},k={},batch={},T={}] {:.2f} queries/s | {:.2f} ms per call, {:.2f} of the processor; scan "
      "{:.1f} GB/s, share of "
      "memory {:.2f}; {:.1f} GFLOP/s, share of peak {:.2f}\n",
      o.n, o.d, o.k, o.batch, o.threads, static_cast<double>(o.batch) / s, s * 1e3, time.cpu * 1e3, gbs,
      gbs / cpu::measure_read_gbs(o.threads), gflops, gflops / cpu::measure_fma_peak_gflops(o.threads));
}

int run(int argc, char** argv) {
  CLI::App app("search among vectors, measured");
  Options o;
  app.add_option("--what", o.what)->check(CLI::IsMember({"exact"}));
  app.add_option("--n", o.n)->check(CLI::PositiveNumber);
  app.add_option("--d", o.d)->check(CLI::PositiveNumber);
  app.add_option("--batch", o.batch, "queries of a call")->check(CLI::PositiveNumber);
  app.add_option("--k", o.k)->check(CLI::PositiveNumber);
  app.add_option("--threads", o.threads)->check(CLI::Range(1, 1024));
  app.add_option("--seconds", o.seconds, "of a measurement");
  CLI11_PARSE(app, argc, argv);
  set_num_threads(o.threads);
  run_exact(o);
  return 0;
}

}  // namespace
}  // namespace winnow

int main(int argc, char** argv) {
  try {
    return winnow::run(argc, argv);
  } catch (const std::exception& e) { std::cerr << e.what() << "\n"; }
  return 1;
}
