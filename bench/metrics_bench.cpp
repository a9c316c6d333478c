// What an evaluation costs: exact AUC, its by-user form, intervals, ranking.
#include <benchmark/benchmark.h>

#include "core/parallel.h"
#include "core/rng.h"
#include "train/metrics_auc.h"
#include "train/metrics_binary.h"
#include "train/ranking.h"

namespace winnow {
namespace {

struct Rows {
  std::vector<float> logits, labels;
  std::vector<int64_t> users;
  explicit Rows(int64_t n, double positives = 0.25) {
    Rng rng(1);
    for (int64_t i = 0; i < n; ++i) {
      labels.push_back(rng.uniform() < positives ? 1 : 0);
      logits.push_back(static_cast<float>(rng.normal()) + labels.back());
      users.push_back(static_cast<int64_t>(rng.below(static_cast<uint64_t>(n) / 20 + 1)));
    }
  }
};

void run_metric(benchmark::State& state, const char* name) {
  const Rows rows(state.range(0));
  for (auto _ : state) {
    const auto metric = make_metric(name);
    metric->update({rows.logits, rows.labels, {}, rows.users});
    benchmark::DoNotOptimize(metric->value());
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK_CAPTURE(run_metric, auc, "auc")->Arg(100'000)->Arg(10'000'000)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(run_metric, gauc, "gauc")->Arg(100'000)->Arg(10'000'000)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(run_metric, logloss, "logloss")->Arg(100'000)->Arg(10'000'000)->Unit(benchmark::kMillisecond);

// Both areas from one sort, checks included, on the threads of the machine.
void run_areas(benchmark::State& state) {
  set_num_threads(static_cast<int>(state.range(1)));
  const Rows rows(state.range(0));
  for (auto _ : state) {
    const MetricRows r{rows.logits, rows.labels};
    check_rows("auc", r, 0, LabelRange::Binary);
    std::vector<uint64_t> words;
    append_scored_rows(r, words);
    sort_scored_rows(words);
    benchmark::DoNotOptimize(areas_of_sorted(words));
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(run_areas)->Args({10'000'000, 1})->Args({10'000'000, 2})->Unit(benchmark::kMillisecond)->UseRealTime();

void run_evaluate_binary(benchmark::State& state) {
  set_num_threads(1);
  const Rows rows(state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(evaluate_binary({rows.logits, rows.labels, {}, rows.users}));
}
BENCHMARK(run_evaluate_binary)->Arg(20'000)->Arg(200'000)->Unit(benchmark::kMillisecond);

void run_top_items(benchmark::State& state) {
  const Rows rows(state.range(0));
  std::vector<int64_t> top;
  for (auto _ : state) {
    top_items(rows.logits, 100, top);
    benchmark::DoNotOptimize(top.data());
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(run_top_items)->Arg(10'000)->Arg(1'000'000)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace winnow

BENCHMARK_MAIN();
