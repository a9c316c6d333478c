// opbench: every kernel of every operator on the operator's benchmark samples, with warm and with cold caches.
//   opbench [--op NAME] [--kernel NAME] [--threads N] [--large] [Google Benchmark's flags: --benchmark_filter, ...]
// GB/s and GFLOP/s follow from cost_of(). roofline_% = the time that the machine's measured multiply-add peak and copy
// bandwidth would need, whichever is longer, as a share of the time taken; warm operands may beat the memory's
// bandwidth, so that warm cases compare with the multiply-add peak alone (peak_%). Operands of a few MB stay in a
// device's cache: --large has samples that do not, of the operators that memory bounds (bench/large_samples.h).
#include <benchmark/benchmark.h>
#include <immintrin.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <deque>

#include "bench/device_peak.h"
#include "bench/large_samples.h"
#include "core/backend.h"
#include "core/gpu.h"
#include "core/parallel.h"
#include "tests/optest/fill.h"
#include "tests/optest/runner.h"

namespace {

using namespace winnow;
using namespace winnow::optest;

struct Machine {
  double gflops = 0, gbs = 0;
};

void evict(const Tensor& t) {
  constexpr int64_t kLine = 64, kGrain = 1 << 16;
  const auto* p = static_cast<const char*>(t.raw());
  const int64_t lines = (static_cast<int64_t>(t.bytes()) + kLine - 1) / kLine;
  parallel_for(lines, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) _mm_clflush(p + i * kLine);
  });
}

void evict(const Result& operands) {
  for (const Tensor& t : operands.in) evict(t);
  for (const Tensor& t : operands.out) evict(t);
  evict(operands.scratch);
  _mm_mfence();
}

enum class Cache { Warm, Cold, Device };

const char* suffix(Cache cache) { return cache == Cache::Warm ? "/warm" : cache == Cache::Cold ? "/cold" : ""; }

// A device's runs are recorded and queued as a whole, as a program's steps are: what is measured is its time, not the
// host's for launches. Operands that fit its caches stay there.
class Runs {
 public:
  Runs(const Prepared& prepared, const Result& operands)
      : prepared_(prepared), operands_(operands), stream_(make_stream(prepared.device())) {
    prepared_.execute(operands_, *stream_);
    stream_->synchronize();
    if (count() > 1)
      recording_ = backend_of(prepared.device()).record(*stream_, [&] {
        for (int i = 0; i < count(); ++i) prepared_.execute(operands_, *stream_);
      });
  }
  double seconds() {  // of one
    const auto start = std::chrono::steady_clock::now();
    if (recording_ != nullptr)
      recording_->launch(*stream_);
    else
      for (int i = 0; i < count(); ++i) prepared_.execute(operands_, *stream_);
    stream_->synchronize();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / count();
  }

 private:
  int count() const { return prepared_.device().kind == Device::CPU ? 1 : 20; }
  const Prepared& prepared_;
  const Result& operands_;
  std::unique_ptr<Stream> stream_;
  std::unique_ptr<Recording> recording_;
};

void measure(benchmark::State& state, const Case& c, const KernelDef& kernel, Cache cache, const Machine& machine) {
  const Prepared prepared(kernel, node_of(c));
  const Result operands = prepared.place(filled(c), {.poison = 0});
  Runs runs(prepared, operands);
  double total = 0;
  for ([[maybe_unused]] auto _ : state) {
    if (cache == Cache::Cold) evict(operands);
    const double seconds = runs.seconds();
    state.SetIterationTime(seconds);
    total += seconds;
  }
  const Cost cost = cost_of(prepared.node());
  const double seconds = total / static_cast<double>(std::max<benchmark::IterationCount>(1, state.iterations()));
  const double compute = cost.flops / (machine.gflops * 1e9), memory = cost.bytes / (machine.gbs * 1e9);
  state.counters["GB/s"] = cost.bytes / seconds * 1e-9;
  state.counters["GFLOP/s"] = cost.flops / seconds * 1e-9;
  if (cache == Cache::Warm)
    state.counters["peak_%"] = 100 * compute / seconds;
  else
    state.counters["roofline_%"] = 100 * std::max(compute, memory) / seconds;
}

// The samples that the cases point to.
using LargeSamples = std::deque<Sample>;
std::vector<Case> large_cases(const Suite& suite, LargeSamples& samples) {
  std::vector<Case> cases;
  for (const Operator& entry : suite.operators())
    for (Sample& sample : bench::large_samples(*entry.op)) {
      samples.push_back(std::move(sample));
      cases.push_back({entry.op, &samples.back()});
    }
  return cases;
}

void add_benchmarks(const std::vector<Case>& cases, bool large, const Options& options, const Machine& machine) {
  const std::vector<Cache> of_cpu = large ? std::vector{Cache::Cold} : std::vector{Cache::Warm, Cache::Cold};
  for (const Case& c : cases) {
    if (!c.sample->bench) continue;
    const NodeSpec node = node_of(c);
    for (const KernelDef* kernel : kernels_of(*c.op, options.device.kind)) {
      if (refusal(*kernel, node) != nullptr || (!options.kernel.empty() && options.kernel != kernel->name)) continue;
      const bool cpu = kernel->device == Device::CPU;
      for (const Cache cache : cpu ? of_cpu : std::vector{Cache::Device})
        benchmark::RegisterBenchmark(
            fmt::format("{}/{}/{}{}", c.op->name, kernel->name, c.sample->name, suffix(cache)).c_str(),
            [c, kernel, cache, machine](benchmark::State& s) { measure(s, c, *kernel, cache, machine); })
            ->UseManualTime()
            ->MinTime(cpu ? 0.2 : 0.02)
            ->Unit(benchmark::kMicrosecond);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  register_gpu();
  Options options;
  int threads = 0;
  CLI::App app("Measures operators on their own benchmark samples; takes Google Benchmark's flags too.");
  app.add_option("--op", options.op, "only this operator");
  app.add_option("--kernel", options.kernel, "only this kernel");
  app.add_option("--threads", threads, "compute threads (0 = all)");
  bool large = false;
  app.add_flag("--large", large, "operands of 200 MB and more, of the operators that memory bounds");
  std::string device = "cpu";
  app.add_option("--device", device, "cpu or cuda")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  try {
    if (threads > 0) set_num_threads(threads);
    options.device = parse_device(device);
    set_default_device(options.device);
    const Suite suite(options);
    const Machine machine{measured_peak_gflops(num_threads()), measured_copy_gbs(num_threads())};
    benchmark::AddCustomContext("threads", std::to_string(num_threads()));
    benchmark::AddCustomContext("fma_peak_gflops", fmt::format("{:.1f}", machine.gflops));
    benchmark::AddCustomContext("copy_gbs", fmt::format("{:.1f}", machine.gbs));
    LargeSamples samples;
    add_benchmarks(large ? large_cases(suite, samples) : suite.cases(), large, options, machine);
    benchmark::RunSpecifiedBenchmarks();
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "opbench: {}\n", error.what());
    return 2;
  }
}
