// Training steps of a masked language model in the shapes of BERT's family, on random tokens. Prints one line
// `mlm_step[config] value tokens/s`; details go to stderr. bench/compare_text.sh runs it in turn with its peers.
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cmath>
#include <fstream>
#include <iostream>
#include <map>

#include "core/cpu/peak.h"
#include "core/parallel.h"
#include "core/program.h"
#include "core/rng.h"
#include "nn/layers.h"
#include "ops/binary.h"
#include "ops/dropout.h"
#include "ops/jagged_attention.h"
#include "ops/losses.h"
#include "ops/matmul.h"
#include "ops/norm.h"
#include "ops/pointwise.h"
#include "ops/shape_ops.h"
#include "train/optimizer.h"

namespace winnow {
namespace {

constexpr int64_t kVocabulary = 30522, kPositions = 512, kTypes = 2;

struct Size {
  int64_t layers, hidden, heads, length, batch;
};
const std::map<std::string, Size> kSizes = {{"tiny", {2, 128, 2, 128, 32}},
                                            {"mini", {4, 256, 4, 128, 32}},
                                            {"minilm", {6, 384, 12, 128, 16}},
                                            {"base", {12, 768, 12, 128, 8}}};

struct Options {
  std::string config = "minilm", lengths;
  double seconds = 6;
  int threads = 2;
  bool profile = false, dump = false, memory = false;
};

struct Norm {
  Parameter *gamma, *beta;
};
class Model : public Module {
 public:
  explicit Model(const Size& s) : s_(s) {
    word_ = &parameter("word", {kVocabulary, s.hidden}, Group::Weight, Init::normal(0.02));
    position_ = &parameter("position", {kPositions, s.hidden}, Group::Weight, Init::normal(0.02));
    type_ = &parameter("type", {kTypes, s.hidden}, Group::Weight, Init::normal(0.02));
    norms_.push_back(norm("embedding"));
    const int64_t h = s.hidden;
    for (int64_t l = 0; l < s.layers; ++l) {
      const auto name = [&](const char* part) { return fmt::format("{}.{}", l, part); };
      linears_.push_back(&child<Linear>(name("qkv"), h, 3 * h, true, Init::normal(0.02)));
      linears_.push_back(&child<Linear>(name("out"), h, h, true, Init::normal(0.02)));
      linears_.push_back(&child<Linear>(name("up"), h, 4 * h, true, Init::normal(0.02)));
      linears_.push_back(&child<Linear>(name("down"), 4 * h, h, true, Init::normal(0.02)));
      norms_.push_back(norm(name("norm1")));
      norms_.push_back(norm(name("norm2")));
    }
    linears_.push_back(&child<Linear>("head", h, h, true, Init::normal(0.02)));
    norms_.push_back(norm("head"));
    bias_ = &parameter("bias", {kVocabulary}, Group::Bias, Init::zeros());
  }
  Value loss(Value ids, Value positions, Value types, Value offsets, Value rows, Value labels, Value step) const {
    Graph& g = *ids.graph;
    const auto p = [&](Parameter* x) { return g.persistent(x->variable); };
    Value x = add(add(gather(p(word_), ids), gather(p(position_), positions)), gather(p(type_), types));
    x = dropout(layer_norm(x, p(norms_[0].gamma), p(norms_[0].beta), 1e-12), 0.1, step);
    for (size_t l = 0; l < static_cast<size_t>(s_.layers); ++l) {
      AttentionOptions a;
      a.heads = s_.heads;
      const AddNormOptions n{1e-12, 0.1, step};
      const Norm &n1 = norms_[1 + 2 * l], &n2 = norms_[2 + 2 * l];
      Value z = jagged_attention((*linears_[4 * l])(x), offsets, a);
      x = add_layer_norm(x, (*linears_[4 * l + 1])(z), p(n1.gamma), p(n1.beta), n).y;
      z = (*linears_[4 * l + 3])(gelu((*linears_[4 * l + 2])(x)));
      x = add_layer_norm(x, z, p(n2.gamma), p(n2.beta), n).y;
    }
    x = gather(x, rows);
    x = layer_norm(gelu((*linears_.back())(x)), p(norms_.back().gamma), p(norms_.back().beta), 1e-12);
    return softmax_cross_entropy(add(matmul(x, p(word_), false, true), p(bias_)), labels);
  }

 private:
  Norm norm(const std::string& name) {
    return {&parameter(name + ".gamma", {s_.hidden}, Group::Norm, Init::ones()),
            &parameter(name + ".beta", {s_.hidden}, Group::Norm, Init::zeros())};
  }
  Size s_;
  Parameter *word_, *position_, *type_, *bias_;
  std::vector<Linear*> linears_;
  std::vector<Norm> norms_;
};

double peak_rss_mb() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

void print_profile(Program& program, const std::vector<Tensor>& feeds, Stream& stream) {
  std::map<std::string, NodeProfile> by_op;
  double total = 0;
  for (const NodeProfile& p : program.profile(feeds, stream, 6)) {
    NodeProfile& sum = by_op[p.op + " " + p.kernel];
    sum.seconds += p.seconds;
    sum.cost.flops += p.cost.flops;
    sum.cost.bytes += p.cost.bytes;
    total += p.seconds;
    if (p.op == "matmul" || p.op == "linear_weight_grad")
      fmt::print(stderr, "  {:<18} {:<10} {:8.3f} ms {:7.1f} GFLOP/s {:6.2f} GFLOP {}\n", p.op, p.kernel,
                 p.seconds * 1e3, p.cost.flops / p.seconds * 1e-9, p.cost.flops * 1e-9, p.source);
  }
  std::vector<std::pair<std::string, NodeProfile>> sorted(by_op.begin(), by_op.end());
  std::sort(sorted.begin(), sorted.end(),
            [](const auto& a, const auto& b) { return a.second.seconds > b.second.seconds; });
  for (const auto& [name, p] : sorted)
    fmt::print(stderr, "{:<40} {:8.3f} ms {:5.1f} %  {:7.1f} GFLOP/s {:6.1f} GB/s\n", name, p.seconds * 1e3,
               100 * p.seconds / total, p.cost.flops / p.seconds * 1e-9, p.cost.bytes / p.seconds * 1e-9);
}

int run(const Options& o) {
  set_num_threads(o.threads);
  const Size s = kSizes.at(o.config);
  const int64_t tokens = s.batch * s.length;
  std::vector<int64_t> offsets = {0};
  if (o.lengths.empty()) {
    for (int64_t b = 0; b < s.batch; ++b) offsets.push_back((b + 1) * s.length);
  } else {
    std::ifstream file(o.lengths);
    for (int64_t n; offsets.back() < tokens && file >> n;) offsets.push_back(std::min(tokens, offsets.back() + n));
  }
  Model model(s);
  model.initialize(0);
  const auto masked = static_cast<int64_t>(0.15 * static_cast<double>(tokens));
  Graph g;
  const Value step = g.input("step", {DType::I64, {}}), lr = g.input("learning_rate", {DType::F32, {}});
  const auto i64 = [&](const char* name, int64_t n) { return g.input(name, {DType::I64, {n}}); };
  const Value ids = i64("ids", tokens), positions = i64("positions", tokens), types = i64("types", tokens),
              bounds = i64("offsets", static_cast<int64_t>(offsets.size())), rows = i64("rows", masked),
              labels = i64("labels", masked);
  const Value loss = model.loss(ids, positions, types, bounds, rows, labels, step);
  g.output("loss", loss);
  g.backward(loss);
  OptimizerOptions options;
  options.name = "adamw";
  options.weight_decay = 0.01;
  Optimizer optimizer(options);
  optimizer.emit(g, model.parameters(), lr, step, 1e-4);
  Program program = compile(g);
  if (o.dump) fmt::print(stderr, "{}", program.dump());
  if (o.memory) fmt::print(stderr, "{}", program.memory().str());
  Rng rng(1);
  const auto fill = [&](int64_t n, auto f) {
    Tensor t({DType::I64, {n}});
    for (int64_t i = 0; i < n; ++i) t.data<int64_t>()[i] = f(i);
    return t;
  };
  const auto any = [&](int64_t n) { return static_cast<int64_t>(rng.uniform() * static_cast<double>(n)); };
  Tensor step_tensor = Tensor::of<int64_t>({0}, {}), rate = Tensor::of<float>({1e-4f}, {});
  size_t b = 0;
  const std::vector<Tensor> feeds = {
      step_tensor,
      rate,
      fill(tokens, [&](int64_t) { return any(kVocabulary); }),
      fill(tokens,
           [&](int64_t i) {
             while (b + 1 < offsets.size() && offsets[b + 1] <= i) ++b;
             return std::min<int64_t>(kPositions - 1, i - offsets[b]);
           }),
      fill(tokens, [](int64_t) { return 0; }),
      fill(static_cast<int64_t>(offsets.size()), [&](int64_t i) { return offsets[static_cast<size_t>(i)]; }),
      fill(masked, [&](int64_t i) { return i * tokens / masked; }),
      fill(masked, [&](int64_t) { return any(kVocabulary); })};
  const auto stream = make_stream({});
  std::vector<double> times;
  double elapsed = 0;
  for (int i = 0; elapsed < o.seconds || times.size() < 4; ++i) {
    ++*step_tensor.data<int64_t>();
    const auto start = std::chrono::steady_clock::now();
    program.run(feeds, *stream);
    const double t = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (i < 3) continue;  // warm-up
    times.push_back(t);
    elapsed += t;
  }
  std::sort(times.begin(), times.end());
  const double median = times[times.size() / 2];
  double squares = 0;  // sum of squared lengths
  for (size_t i = 1; i < offsets.size(); ++i)
    squares += static_cast<double>((offsets[i] - offsets[i - 1]) * (offsets[i] - offsets[i - 1]));
  const auto h = static_cast<double>(s.hidden), n = static_cast<double>(tokens), layers = static_cast<double>(s.layers);
  const double flops = 6 * (n * layers * 12 * h * h + layers * 2 * squares * h +
                            static_cast<double>(masked) * (kVocabulary * h + h * h));
  if (o.profile) print_profile(program, feeds, *stream);
  const double peak = cpu::measure_fma_peak_gflops(o.threads);
  fmt::print(stderr,
             "# step {:.2f} ms best {:.2f} n={} GFLOP/step {:.2f} -> {:.1f} GFLOP/s share {:.1f} of {:.0f} RSS {:.0f} "
             "MB loss {:.4f}\n",
             median * 1e3, times[0] * 1e3, times.size(), flops * 1e-9, flops / median * 1e-9,
             100 * flops / median * 1e-9 / peak, peak, peak_rss_mb(), program.output("loss").item<float>());
  fmt::print("mlm_step[{},T={}] {:.6g} tokens/s\n", o.config, o.threads, n / median);
  return 0;
}

}  // namespace
}  // namespace winnow

int main(int argc, char** argv) {
  winnow::Options o;
  CLI::App app("Training step of a masked language model");
  app.add_option("--config", o.config, "tiny, mini, minilm, base");
  app.add_option("--lengths", o.lengths, "file of sequence lengths, one a line; without it all are full");
  app.add_option("--threads", o.threads);
  app.add_option("--seconds", o.seconds, "how long to measure");
  app.add_flag("--profile", o.profile, "time by operator");
  app.add_flag("--dump", o.dump, "the compiled program");
  app.add_flag("--memory", o.memory, "the memory plan");
  CLI11_PARSE(app, argc, argv);
  try {
    return winnow::run(o);
  } catch (const winnow::Error& e) {
    std::cerr << "textbench: " << e.what() << "\n";
    return 1;
  }
}
