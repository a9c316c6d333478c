// Transformer encoders in the shapes of BERT's family, on random tokens: the step of a masked language model, and
// encoding. Prints one line `name[config] value unit`; details go to stderr. bench/compare_text.sh runs it in turn with
// its peers.
#include <CLI/CLI.hpp>
#include <chrono>
#include <ctime>
#include <fstream>
#include <iostream>
#include <map>

#include "bench/device_peak.h"
#include "bench/step_profile.h"
#include "core/gpu.h"
#include "core/parallel.h"
#include "core/program.h"
#include "core/rng.h"
#include "nn/transformer.h"
#include "ops/losses.h"
#include "ops/norm.h"
#include "ops/shape_ops.h"
#include "train/optimizer.h"

namespace winnow {
namespace {

struct Size {
  int64_t layers, hidden, heads, length, batch;
};
const std::map<std::string, Size> kSizes = {{"tiny", {2, 128, 2, 128, 32}},
                                            {"mini", {4, 256, 4, 128, 32}},
                                            {"minilm", {6, 384, 12, 128, 16}},
                                            {"base", {12, 768, 12, 128, 8}}};

struct Options {
  std::string config = "minilm", lengths;
  double seconds = 6, attention_dropout = 0;
  int64_t batch = 32, length = 20, sequences = 0;
  int threads = 2;
  std::string device = "cpu";
  Precision precision = Precision::F32;
  bool measure = false, profile = false, dump = false, memory = false, latency = false, frozen = true;
};

TransformerOptions transformer_of(const Size& s, double attention_dropout) {
  TransformerOptions t;
  t.hidden_size = s.hidden;
  t.num_hidden_layers = s.layers;
  t.num_attention_heads = s.heads;
  t.intermediate_size = 4 * s.hidden;
  t.attention_probs_dropout_prob = attention_dropout;
  return t;
}

// Lengths of texts, one a line.
std::vector<int64_t> read_lengths(const std::string& path) {
  std::ifstream file(path);
  std::vector<int64_t> list;
  for (int64_t n; file >> n;) list.push_back(n);
  WN_CHECK(!list.empty(), IoError, "'{}' holds no lengths", path);
  return list;
}

Tensor integers(int64_t n, const std::function<int64_t(int64_t)>& f) {
  Tensor t({DType::I64, {n}});
  for (int64_t i = 0; i < n; ++i) t.data<int64_t>()[i] = f(i);
  return t;
}

// The token inputs of sequences of the given lengths, recorded and filled.
struct Batch {
  int64_t tokens = 0;
  double squares = 0;  // sum of squared lengths
  TokenInputs in;
  std::vector<Tensor> feeds;
  Batch(Graph& g, const std::vector<int64_t>& lengths, int64_t vocabulary, Rng& rng) {
    std::vector<int64_t> offsets = {0}, places;
    for (const int64_t n : lengths) {
      offsets.push_back(tokens += n);
      squares += static_cast<double>(n * n);
      for (int64_t i = 0; i < n; ++i) places.push_back(i);
    }
    const auto rows = static_cast<int64_t>(offsets.size());
    const auto input = [&](const char* name, int64_t n) { return g.input(name, {DType::I64, {n}}); };
    in.ids = input("ids", tokens);
    in.positions = input("positions", tokens);
    in.offsets = input("offsets", rows);
    feeds = {integers(tokens,
                      [&](int64_t) { return static_cast<int64_t>(rng.uniform() * static_cast<double>(vocabulary)); }),
             integers(tokens, [&](int64_t i) { return places[static_cast<size_t>(i)]; }),
             integers(rows, [&](int64_t i) { return offsets[static_cast<size_t>(i)]; })};
  }
};

double cpu_seconds() {
  timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

// Sorted seconds of repeated runs, and the processor's seconds of one: with one thread fit for a busy machine.
struct Times : std::vector<double> {
  double cpu = 0;
};
Times timed(double budget, size_t least, const std::function<void()>& run) {
  constexpr int kWarmUp = 3;
  Times times;
  double elapsed = 0, cpu = 0;
  for (int i = 0; elapsed < budget || times.size() < least; ++i) {
    const double cpu_start = cpu_seconds();
    const auto start = std::chrono::steady_clock::now();
    run();
    const double t = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (i < kWarmUp) continue;
    times.push_back(t);
    elapsed += t;
    cpu += cpu_seconds() - cpu_start;
  }
  times.cpu = cpu / static_cast<double>(times.size());
  std::sort(times.begin(), times.end());
  return times;
}

void report(const Options& o, Program& program, const std::vector<Tensor>& feeds, Stream& stream, const Times& times,
            double flops) {
  if (o.dump) fmt::print(stderr, "{}", program.dump());
  if (o.memory) fmt::print(stderr, "{}", program.memory().str());
  if (o.profile) print_profile(program, feeds, stream, 8);
  const double median = times[times.size() / 2], peak = measured_peak_gflops(o.threads, o.precision);
  fmt::print(stderr,
             "# step {:.3f} ms best {:.3f} cpu {:.3f} n={} GFLOP/step {:.2f} -> {:.1f} GFLOP/s share {:.1f} of {:.0f} "
             "RSS {:.0f} MB\n",
             median * 1e3, times[0] * 1e3, times.cpu * 1e3, times.size(), flops * 1e-9, flops / median * 1e-9,
             100 * flops / median * 1e-9 / peak, peak, peak_rss_mb());
}

// Multiplications and additions of the layers' products, forward.
double layer_flops(const Size& s, const Batch& b) {
  const auto h = static_cast<double>(s.hidden);
  return 2 * static_cast<double>(s.layers) * (static_cast<double>(b.tokens) * 12 * h * h + 2 * b.squares * h);
}

struct Mlm : Module {
  TransformerEncoder* encoder;
  MlmHead* head;
  explicit Mlm(const TransformerOptions& o)
      : encoder(&child<TransformerEncoder>("encoder", o)), head(&child<MlmHead>("head", o)) {}
};

// Forward, backward and AdamW; 15 % of the tokens are predicted.
void mlm(const Options& o) {
  const Size s = kSizes.at(o.config);
  const int64_t sequences = o.sequences > 0 ? o.sequences : s.batch, most = sequences * s.length;
  std::vector<int64_t> lengths(static_cast<size_t>(sequences), s.length);
  if (!o.lengths.empty()) {
    lengths.clear();
    int64_t total = 0;
    for (const int64_t n : read_lengths(o.lengths))
      if (n >= 1 && (total += n) <= most) lengths.push_back(n);
  }
  const TransformerOptions options = transformer_of(s, o.attention_dropout);
  Mlm model(options);
  model.initialize(0);
  Rng rng(1);
  Graph g;
  const Value step = g.input("step", {DType::I64, {}}), lr = g.input("learning_rate", {DType::F32, {}});
  const Batch batch(g, lengths, options.vocab_size, rng);
  const auto masked = static_cast<int64_t>(0.15 * static_cast<double>(batch.tokens));
  const Value rows = g.input("rows", {DType::I64, {masked}}), labels = g.input("labels", {DType::I64, {masked}});
  StepContext context;
  context.step = step;
  context.training = true;
  const Value hidden = gather((*model.encoder)(batch.in, context), rows);
  const Value loss = softmax_cross_entropy((*model.head)(hidden, model.encoder->word_embedding(g)), labels);
  g.output("loss", loss);
  g.backward(loss);
  OptimizerOptions adamw;
  adamw.name = "adamw";
  adamw.weight_decay = 0.01;
  Optimizer optimizer(adamw);
  optimizer.emit(g, model.parameters(), lr, step, 1e-4);
  CompileOptions compiled;
  compiled.measure = o.measure, compiled.precision = o.precision;
  Program program = compile(g, compiled);

  Tensor step_tensor = Tensor::of<int64_t>({0}, {}), rate = Tensor::of<float>({1e-4f}, {});
  std::vector<Tensor> feeds = {step_tensor, rate};
  feeds.insert(feeds.end(), batch.feeds.begin(), batch.feeds.end());
  feeds.push_back(integers(masked, [&](int64_t i) { return i * batch.tokens / masked; }));
  feeds.push_back(integers(masked, [&](int64_t) { return static_cast<int64_t>(rng.uniform() * 30522); }));
  const auto stream = make_stream();
  const auto times = timed(o.seconds, 4, [&] {
    ++*step_tensor.data<int64_t>();
    program.run(feeds, *stream);
    stream->synchronize();
  });
  const auto h = static_cast<double>(s.hidden), v = static_cast<double>(options.vocab_size);
  const double flops = 3 * (layer_flops(s, batch) + 2 * static_cast<double>(masked) * (v * h + h * h));
  report(o, program, feeds, *stream, times, flops);
  fmt::print("mlm_step[{},{},T={}] {:.6g} tokens/s | {} tokens, {} sequences, loss {:.4f}\n", o.config,
             o.lengths.empty() ? "full" : "lengths", o.threads,
             static_cast<double>(batch.tokens) / times[times.size() / 2], batch.tokens, lengths.size(),
             program.output("loss").item<float>());
}

// Encoder, mean pooling, length 1.
void encode(const Options& o) {
  const Size s = kSizes.at(o.config);
  std::vector<int64_t> lengths(static_cast<size_t>(o.latency ? 1 : o.batch), o.length);
  if (!o.lengths.empty()) {
    const auto all = read_lengths(o.lengths);
    for (size_t i = 0; i < lengths.size(); ++i) lengths[i] = all[i % all.size()];
  }
  const TransformerOptions options = transformer_of(s, 0);
  TransformerEncoder encoder(options);
  encoder.initialize(0);
  Rng rng(1);
  Graph g;
  const Batch batch(g, lengths, options.vocab_size, rng);
  g.output("vectors", pool_tokens(encoder(batch.in, {}), batch.in.offsets, TokenPooling::Mean));
  CompileOptions compiled;
  if (o.frozen) compiled.frozen = std::make_shared<FrozenWeights>();
  Program program = compile(g, compiled);
  const auto stream = make_stream();
  const auto times = timed(o.seconds, o.latency ? 100 : 5, [&] {
    program.run(batch.feeds, *stream);
    stream->synchronize();
  });
  report(o, program, batch.feeds, *stream, times, layer_flops(s, batch));
  const double median = times[times.size() / 2];
  if (o.latency)
    fmt::print("encode_text[batch1,len{},T={},p50] {:.6g} ms | p99 {:.3f} ms\n", o.length, o.threads, median * 1e3,
               times[times.size() * 99 / 100] * 1e3);
  else
    fmt::print("encode_text[B={},{},T={}] {:.6g} sentences/s | {} tokens\n", o.batch,
               o.lengths.empty() ? fmt::format("len{}", o.length) : "lengths", o.threads,
               static_cast<double>(lengths.size()) / median, batch.tokens);
}

}  // namespace
}  // namespace winnow

int main(int argc, char** argv) {
  winnow::register_gpu();
  winnow::Options o;
  CLI::App app("Training steps and encoding with transformer encoders");
  app.require_subcommand(1);
  app.fallthrough();
  CLI::App* mlm = app.add_subcommand("mlm", "step of a masked language model");
  CLI::App* encode = app.add_subcommand("encode", "mean-pooled vectors of texts");
  app.add_option("--config", o.config, "tiny, mini, minilm, base")
      ->check(CLI::IsMember({"tiny", "mini", "minilm", "base"}));
  app.add_option("--lengths", o.lengths, "file of sequence lengths, one a line, in the order of the texts");
  app.add_option("--threads", o.threads);
  app.add_option("--device", o.device, "cpu or cuda")->capture_default_str();
  app.add_option("--precision", o.precision, "of products in training: f32, tf32 or bf16")
      ->transform(CLI::CheckedTransformer(std::map<std::string, winnow::Precision>{
          {"f32", winnow::Precision::F32}, {"tf32", winnow::Precision::TF32}, {"bf16", winnow::Precision::BF16}}));
  app.add_option("--seconds", o.seconds, "how long to measure");
  app.add_flag("--measure", o.measure, "devices: keep the fastest of the algorithms that libraries propose");
  app.add_flag("--profile", o.profile, "time by operator");
  app.add_flag("--dump", o.dump, "the compiled program");
  app.add_flag("--memory", o.memory, "the memory plan");
  mlm->add_option("--batch", o.sequences, "full sequences a step; 0: as many as compare_text.sh's peer takes");
  mlm->add_option("--attention_dropout", o.attention_dropout, "of the attention weights");
  encode->add_option("--batch", o.batch, "texts a batch");
  encode->add_option("--len", o.length, "tokens of each text, where no lengths are given");
  encode->add_flag("--latency", o.latency, "one text at a time: p50 and p99");
  encode->add_flag("--frozen,!--no-frozen", o.frozen, "weights packed once");
  CLI11_PARSE(app, argc, argv);
  winnow::set_num_threads(o.threads);
  try {
    winnow::set_default_device(winnow::parse_device(o.device));
    *mlm ? winnow::mlm(o) : winnow::encode(o);
    return 0;
  } catch (const winnow::Error& e) {
    std::cerr << "textbench: " << e.what() << "\n";
    return 1;
  }
}
