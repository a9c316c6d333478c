// Search among vectors beside what the machine can do: exact and HNSW. Prints one line `name[config] value unit |
// details` a measurement; bench/compare_topk.sh runs it in turn with its peers.
#include <CLI/CLI.hpp>
#include <chrono>
#include <ctime>
#include <iostream>
#include <numeric>

#include "core/cpu/peak.h"
#include "core/cpu/row_codes.h"
#include "core/cpu/topk.h"
#include "core/parallel.h"
#include "core/rng.h"
#include "core/tensor.h"
#include "serve/retrieval/exact.h"
#include "serve/retrieval/hnsw.h"

namespace winnow {
namespace {

struct Options {
  std::string what = "exact";
  int64_t n = 1'000'000, d = 128, batch = 1, k = 100;
  int threads = 2;
  double seconds = 6, recall = 0.97;
  int64_t m = 16, ef_construction = 200;
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

// exact: through bytes; float: without. The peak of byte products is taken as four times that of multiply-adds: as many
// instructions in a cycle, four times the elements.
void run_exact(const Options& o) {
  const Tensor rows = normal_rows(o.n, o.d, 0), queries = normal_rows(o.batch, o.d, 1);
  std::vector<cpu::ScoredRow> out(static_cast<size_t>(o.batch * o.k));
  cpu::TopkProblem problem{queries.data<float>(), o.batch, rows.data<float>(), o.n, o.d, o.k, nullptr, {}, nullptr};
  cpu::RowCodes codes(o.d);
  double element = 4, coded = 0;
  if (o.what == "exact") {
    coded = timed(0, [&] { codes.encode(rows.data<float>(), 0, o.n); }).wall;
    problem.codes = &codes;
    element = static_cast<double>(codes.bytes()) / static_cast<double>(rows.numel());
  }
  cpu::TopkWork work;
  const Time time = timed(o.seconds, [&] { work = cpu::topk(problem, out.data()); });
  const double s = time.wall;
  const double gbs = 1e-9 * element * static_cast<double>(rows.numel()) / s;
  const double gops = 2e-9 * static_cast<double>(rows.numel() * o.batch) / s;
  fmt::print(
      "topk[{},{}x{},k={},batch={},T={}] {:.2f} queries/s | {:.2f} ms per call, {:.2f} of the processor; coded in "
      "{:.0f} ms; {:.1f} rows a query scored; scan {:.1f} GB/s, share of memory {:.2f}; {:.1f} Gop/s, share of peak "
      "{:.2f}\n",
      o.what, o.n, o.d, o.k, o.batch, o.threads, static_cast<double>(o.batch) / s, s * 1e3, time.cpu * 1e3, coded * 1e3,
      static_cast<double>(work.scored) / static_cast<double>(o.batch), gbs, gbs / cpu::measure_read_gbs(o.threads),
      gops, gops / cpu::measure_fma_peak_gflops(o.threads) / (o.what == "exact" ? 4 : 1));
}

// Around 1000 centres, as the peers' vectors.
Tensor clustered_rows(int64_t n, int64_t d, uint64_t seed) {
  constexpr int64_t kCentres = 1000;
  constexpr double kSpread = 0.7;
  std::vector<float> centres(static_cast<size_t>(kCentres * d));
  Rng centre_rng(77);
  for (float& c : centres) c = static_cast<float>(centre_rng.normal());
  Tensor t({DType::F32, {n, d}});
  float* x = t.data<float>();
  for (int64_t r = 0; r < n; ++r) {
    Rng rng(seed, static_cast<uint64_t>(r));
    const float* c = centres.data() + static_cast<int64_t>(rng.below(kCentres)) * d;
    for (int64_t i = 0; i < d; ++i)
      x[r * d + i] = static_cast<float>(static_cast<double>(c[i]) + kSpread * rng.normal());
    normalise(x + r * d, d);
  }
  return t;
}

double recall_of(const std::vector<Found>& found, const std::vector<Found>& expected, int64_t k) {
  int64_t hits = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    const auto first = found.begin() + static_cast<int64_t>(i) / k * k;
    hits += std::any_of(first, first + k, [&](const Found& f) { return f.id == expected[i].id; }) ? 1 : 0;
  }
  return static_cast<double>(hits) / static_cast<double>(expected.size());
}

// Vectors of a file or drawn ones in an index, searched by 1000 queries.
struct Searched {
  static constexpr int64_t kQueries = 1000;
  std::vector<int64_t> ids;
  Tensor rows, queries;
  std::vector<Found> expected, found;
  explicit Searched(const Options& o)
      : rows(clustered_rows(o.n, o.d, 0)),
        queries(clustered_rows(kQueries, o.d, 1)),
        expected(static_cast<size_t>(kQueries * o.k)),
        found(expected.size()) {
    ids.resize(static_cast<size_t>(o.n));
    std::iota(ids.begin(), ids.end(), 0);
    ExactIndex exact(o.d, Similarity::InnerProduct);
    exact.add(ids, rows.span<float>());
    exact.search(queries.span<float>(), o.k, {}, expected);
  }
  void search(const VectorIndex& index, int64_t k) { index.search(queries.span<float>(), k, {}, found); }
};

void run_hnsw(const Options& o) {
  Searched data(o);
  HnswIndex index(o.d, Similarity::InnerProduct, {o.m, o.ef_construction, 64, 0});
  const double cpu = cpu_seconds();
  const auto start = std::chrono::steady_clock::now();
  index.add(data.ids, data.rows.span<float>());
  const double built = seconds_since(start);
  fmt::print("ann_build[winnow,{}x{},M={},efc={},T={}] {:.2f} s | {:.2f} of the processor; {:.0f} vectors/s\n", o.n,
             o.d, o.m, o.ef_construction, o.threads, built, cpu_seconds() - cpu, static_cast<double>(o.n) / built);
  for (const int64_t ef : {10, 12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 128, 192, 256, 384, 512}) {
    index.set_ef_search(ef);
    data.search(index, o.k);
    const double recall = recall_of(data.found, data.expected, o.k);
    if (recall < o.recall) continue;
    const Time time = timed(o.seconds, [&] { data.search(index, o.k); });
    fmt::print("ann_search[winnow,ef={},recall@{}={:.3f},T={}] {:.0f} queries/s | {:.1f} us of the processor a query\n",
               ef, o.k, recall, o.threads, Searched::kQueries / time.wall, time.cpu * 1e6 / Searched::kQueries);
    return;
  }
  fmt::print("# recall never reached {}\n", o.recall);
}

int run(int argc, char** argv) {
  CLI::App app("search among vectors, measured");
  Options o;
  app.add_option("--what", o.what)->check(CLI::IsMember({"exact", "float", "hnsw"}));
  app.add_option("--n", o.n)->check(CLI::PositiveNumber);
  app.add_option("--d", o.d)->check(CLI::PositiveNumber);
  app.add_option("--batch", o.batch, "queries of a call")->check(CLI::PositiveNumber);
  app.add_option("--k", o.k)->check(CLI::PositiveNumber);
  app.add_option("--threads", o.threads)->check(CLI::Range(1, 1024));
  app.add_option("--seconds", o.seconds, "of a measurement");
  app.add_option("--m", o.m, "of hnsw");
  app.add_option("--ef-construction", o.ef_construction, "of hnsw");
  app.add_option("--recall", o.recall, "hnsw: the smallest ef that reaches it is measured");
  CLI11_PARSE(app, argc, argv);
  set_num_threads(o.threads);
  if (o.what != "hnsw") run_exact(o);
  if (o.what == "hnsw") run_hnsw(o);
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
