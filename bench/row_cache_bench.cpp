// What the host does before a step whose embedding tables lie behind a device cache (nn/row_cache.h): batches of
// Criteo's shape, tables of DeepFM under adagrad. Prints milliseconds a batch; the exchange itself runs on the CPU
// here.
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <iostream>

#include "bench/click_ids.h"
#include "core/gpu.h"
#include "core/parallel.h"
#include "nn/row_cache.h"

namespace winnow {
namespace {

struct Options {
  double rows = 2e7, zipf = 1.05;
  int64_t batch = 16384, dim = 16, cache_rows = 2000000;
  int threads = 2, batches = 40, steps = 120;
  std::string policy = "lru";
};

double wall() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }
double cpu() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

int run(const Options& o) {
  set_num_threads(o.threads);
  const auto card = click_cardinalities(o.rows);
  BagFeatures layout{.row_base = {}, .rows = {}, .padding_id = 0};
  int64_t rows = 0;
  for (const int64_t n : card) {
    layout.row_base.push_back(rows);
    layout.rows.push_back(n + 1);
    rows += n + 1;
  }
  const auto cache =
      std::make_shared<RowCache>(layout, o.cache_rows, o.policy == "lfu" ? CachePolicy::Lfu : CachePolicy::Lru);
  Graph g;
  const Value ids = g.input("ids", {DType::I64, {o.batch, kClickFields}});
  for (const int64_t width : {o.dim, o.dim, int64_t{1}, int64_t{1}}) {
    Tensor table = Tensor::zeros({DType::F32, {rows, width}});
    cache->resident(std::make_shared<Variable>(Variable{"table", table, false, true}));
  }
  cache->slot_ids(g, ids, {});
  const Value dy = g.input("dy", {DType::F32, {o.batch, kClickFields, o.dim}});
  const Attrs attrs{
      {"row_base", std::vector<int64_t>(card.size())}, {"rows", layout.rows}, {"pooling", std::vector<int64_t>{0}}};
  cache->segments(g, {{.ids = ids, .offsets = {}, .weights = {}, .dy = dy, .attrs = attrs}});  // batches change rows
  HostStage& stage = *g.staged().at(0).stage;
  Rng rng(100);
  std::vector<Tensor> batches;
  for (int i = 0; i < o.batches; ++i) batches.push_back(click_ids(rng, o.batch, card, o.zipf));
  const auto stream = make_stream({});
  std::vector<double> times, used;
  CacheCounts before;
  for (int i = 0; i < o.steps; ++i) {
    if (i == o.batches) before = cache->counts();
    const double start = wall(), start_cpu = cpu();
    stage.prepare(std::span(&batches[static_cast<size_t>(i % o.batches)], 1), *stream);
    if (i < o.batches) continue;  // warm-up
    times.push_back(wall() - start);
    used.push_back(cpu() - start_cpu);
  }
  const CacheCounts c = cache->counts() - before;
  std::ranges::sort(times);
  std::ranges::sort(used);
  fmt::print(stderr, "# hit rate {:.4f} of {} rows a batch, {:.3f} MB in\n", c.hit_rate(), c.rows / c.batches,
             static_cast<double>(c.bytes_in) * 1e-6 / static_cast<double>(c.batches));
  fmt::print("row_cache[rows={:.0e},B={},cache={},{},T={}] {:.3f} ms a batch (best {:.3f}, CPU {:.3f})\n", o.rows,
             o.batch, o.cache_rows, o.policy, o.threads, times[times.size() / 2] * 1e3, times[0] * 1e3,
             used[used.size() / 2] * 1e3);
  return 0;
}

}  // namespace
}  // namespace winnow

int main(int argc, char** argv) {
  winnow::register_gpu();
  winnow::Options o;
  CLI::App app("The host's part of a step whose embedding tables lie behind a device cache");
  app.add_option("--rows", o.rows, "of all tables together");
  app.add_option("--batch", o.batch);
  app.add_option("--dim", o.dim);
  app.add_option("--zipf", o.zipf);
  app.add_option("--cache-rows", o.cache_rows);
  app.add_option("--policy", o.policy)->check(CLI::IsMember({"lru", "lfu"}));
  app.add_option("--threads", o.threads);
  app.add_option("--batches", o.batches, "distinct ones, in turn");
  app.add_option("--steps", o.steps)->check(CLI::Range(1, 1000000));
  CLI11_PARSE(app, argc, argv);
  try {
    return winnow::run(o);
  } catch (const winnow::Error& e) {
    std::cerr << "row_cache_bench: " << e.what() << "\n";
    return 1;
  }
}
