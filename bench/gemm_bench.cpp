// gemm_bench [threads] [best|avx2|avx512] [part of a name]: own product against oneDNN on training shapes, interleaved.
// Minimum of many repeats; one thread by CPU clock (fit for a busy machine), several by wall clock. oneDNN runs each
// product as one primitive on one thread, or in its fixed row chunks on several. To compare AVX2 forms on a machine
// with AVX-512, also set ONEDNN_MAX_CPU_ISA=AVX2.
#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "core/cpu/onednn_matmul.h"
#include "core/cpu/peak.h"
#include "core/cpu/sgemm.h"
#include "core/parallel.h"
#include "core/tensor.h"

namespace {

using namespace winnow;
using namespace winnow::cpu;

struct Shape2 {
  const char* net;
  int64_t in, out;
};
constexpr Shape2 kLayers[] = {{"ctr", 429, 1024}, {"ctr", 1024, 512},  {"ctr", 512, 256},
                              {"ctr", 256, 1},    {"cross", 429, 429}, {"dlrm", 13, 512},
                              {"dlrm", 256, 64},  {"dlrm", 64, 16},    {"dlrm", 367, 512}};

// Transformer layers, for a training step's tokens, a batch of titles and one query; and the vocabulary's logits.
constexpr Shape2 kTextLayers[] = {
    {"tiny", 128, 384},  {"tiny", 128, 512},    {"tiny", 512, 128},   {"mini", 256, 768},    {"mini", 256, 1024},
    {"mini", 1024, 256}, {"minilm", 384, 1152}, {"minilm", 384, 384}, {"minilm", 384, 1536}, {"minilm", 1536, 384},
    {"base", 768, 2304}, {"base", 768, 768},    {"base", 768, 3072},  {"base", 3072, 768}};

struct Options {
  int threads = 1;
  Isa isa = Isa::Best;
  std::string filter;
  double peak = 0;
};

double seconds(bool cpu_clock) {
  timespec t{};
  clock_gettime(cpu_clock ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

Tensor filled(int64_t n) {
  Tensor t({DType::F32, {n}});
  for (int64_t i = 0; i < n; ++i) t.data<float>()[i] = static_cast<float>((i * 2654435761 >> 16) % 2001) * 1e-3f - 1.f;
  return t;
}
Tensor bytes(size_t n) { return Tensor({DType::U8, {static_cast<int64_t>(n)}}); }

struct Product {
  std::string name;
  int64_t m, n, k;
  bool trans_a, trans_b;
};

void compare(const Product& p, const Options& o) {
  const Tensor a = filled(p.m * p.k), b = filled(p.k * p.n), c = filled(p.m * p.n), d = filled(p.m * p.n);
  SgemmProblem q;
  q.m = static_cast<size_t>(p.m), q.n = static_cast<size_t>(p.n), q.k = static_cast<size_t>(p.k);
  q.trans_a = p.trans_a, q.trans_b = p.trans_b, q.isa = o.isa;
  q.a = a.data<float>(), q.lda = p.trans_a ? q.m : q.k, q.b = b.data<float>(), q.ldb = p.trans_b ? q.k : q.n;
  q.c = c.data<float>(), q.ldc = q.n;
  const Tensor workspace = bytes(sgemm_workspace_bytes(q, {}));
  OneDnnMatmul::Config config{p.m, p.n, p.k, p.trans_a, p.trans_b};
  config.threads = o.threads, config.chunk_rows = o.threads == 1 ? p.m : 0;
  const OneDnnMatmul peer(config);
  const Tensor scratch = bytes(peer.scratch_bytes());

  double ours = 1e9, theirs = 1e9;
  const bool cpu_clock = o.threads == 1;
  const double begin = seconds(false);
  for (int i = 0; i < 8 || (i < 400 && seconds(false) - begin < 0.4); ++i) {
    double start = seconds(cpu_clock);
    sgemm(q, {}, workspace.raw());
    ours = std::min(ours, seconds(cpu_clock) - start);
    start = seconds(cpu_clock);
    peer.run(a.data<float>(), b.data<float>(), nullptr, nullptr, nullptr, d.data<float>(), scratch.raw());
    theirs = std::min(theirs, seconds(cpu_clock) - start);
  }
  const double gflop = 2e-9 * static_cast<double>(p.m) * static_cast<double>(p.n) * static_cast<double>(p.k);
  fmt::print(
      "{:<28} {:>5} x {:>5} x {:>5} | ours {:>9.1f} us {:>7.1f} GF/s {:>5.1f} % | oneDNN {:>7.1f} GF/s | {:.2f}\n",
      p.name, p.m, p.n, p.k, ours * 1e6, gflop / ours, 100 * gflop / ours / o.peak, gflop / theirs, theirs / ours);
}

}  // namespace

int main(int argc, char** argv) {
  Options o;
  if (argc > 1) o.threads = std::atoi(argv[1]);
  if (argc > 2)
    o.isa = !std::strcmp(argv[2], "avx2") ? Isa::Avx2 : !std::strcmp(argv[2], "avx512") ? Isa::Avx512 : Isa::Best;
  if (argc > 3) o.filter = argv[3];
  if (!has_isa(o.isa)) return fmt::print("this CPU lacks {}\n", argv[2]), 1;
  set_num_threads(o.threads);
  o.peak = o.isa == Isa::Avx2 ? measure_fma_peak_gflops_avx2(o.threads) : measure_fma_peak_gflops(o.threads);
  fmt::print("{}, {} thread(s): FMA peak {:.1f} GFLOP/s, copy {:.1f} GB/s\n", isa_name(o.isa), o.threads, o.peak,
             measure_copy_gbs(o.threads));
  const auto run = [&](const Product& p) {
    if (p.name.find(o.filter) != std::string::npos) compare(p, o);
  };
  const auto run_layer = [&](const Shape2& l, int64_t rows) {
    run({fmt::format("{} {} forward", l.net, rows), rows, l.out, l.in, false, false});
    if (rows < 600) return;
    run({fmt::format("{} {} input gradient", l.net, rows), rows, l.in, l.out, false, true});
    run({fmt::format("{} {} weight gradient", l.net, rows), l.in, l.out, rows, true, false});
  };
  for (const int64_t batch : {2048, 8192})
    for (const Shape2& l : kLayers) run_layer(l, batch);
  for (const int64_t tokens : {2048, 640, 16})
    for (const Shape2& l : kTextLayers) run_layer(l, tokens);
  for (const int64_t hidden : {128, 384, 768}) {
    const int64_t vocabulary = 30522, masked = 307;
    run({fmt::format("vocabulary {} forward", hidden), masked, vocabulary, hidden, false, true});
    run({fmt::format("vocabulary {} input gradient", hidden), masked, hidden, vocabulary, false, false});
    run({fmt::format("vocabulary {} weight gradient", hidden), vocabulary, hidden, masked, true, false});
  }
}
