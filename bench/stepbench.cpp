// Training steps of the click models on synthetic Criteo-like batches: 26 sparse ids (Zipf) and 13 numbers a row.
// Prints one line `ctr_step[config] value samples/s`; details go to stderr. bench/compare_ctr.sh runs it in turn with a
// peer on the same shapes.
#include <CLI/CLI.hpp>
#include <chrono>
#include <iostream>

#include "bench/click_ids.h"
#include "bench/device_peak.h"
#include "bench/step_profile.h"
#include "core/gpu.h"
#include "core/parallel.h"
#include "core/program.h"
#include "models/ctr.h"
#include "ops/losses.h"
#include "train/optimizer.h"

namespace winnow {
namespace {

struct Options {
  std::string model = "DeepFM", embedding = "adagrad";
  int64_t batch = 2048, dim = 16;
  double rows = 1e6, zipf = 1.05, seconds = 6;
  int threads = 2;
  std::string device = "cpu", cache_policy = "lru";
  int64_t cache_rows = 0;
  Precision precision = Precision::F32;
  bool measure = false, profile = false, dump = false;
};

constexpr int kFields = kClickFields, kDense = 13, kBatches = 8;

struct Batch {
  Tensor ids, dense, label, weight;
};

Batch make_batch(const Options& o, const std::vector<int64_t>& card, uint64_t seed) {
  Rng rng(seed);
  Batch b{click_ids(rng, o.batch, card, o.zipf), Tensor({DType::F32, {o.batch, kDense}}),
          Tensor({DType::F32, {o.batch}}), Tensor({DType::F32, {o.batch}})};
  for (float& x : b.dense.span<float>()) x = static_cast<float>(rng.normal());
  for (float& y : b.label.span<float>()) y = rng.uniform() < 0.25 ? 1.f : 0.f;
  for (float& w : b.weight.span<float>()) w = 1;
  return b;
}

CtrOptions model_options(const Options& o) {
  CtrOptions m;
  m.name = o.model;
  m.embedding_dim = o.dim;
  m.embedding_init_std = 0.01;
  m.hidden_units = o.model == "DLRM" ? std::vector<int64_t>{512, 256} : std::vector<int64_t>{1024, 512, 256};
  m.bottom_units = {512, 256, 64};
  m.embedding_cache_rows = o.cache_rows;
  m.embedding_cache_policy = o.cache_policy == "lfu" ? CachePolicy::Lfu : CachePolicy::Lru;
  return m;
}

int run(const Options& o) {
  set_num_threads(o.threads);
  set_default_device(parse_device(o.device));
  const auto card = click_cardinalities(o.rows);
  CtrSpec spec;
  spec.dense = kDense;
  for (int f = 0; f < kFields; ++f)
    spec.fields.push_back({fmt::format("C{}", f), card[static_cast<size_t>(f)] + 1, Pooling::Sum});
  const auto model = make_ctr_model(spec, model_options(o));
  model->initialize(0);
  Graph g;
  const Value step = g.input("step", {DType::I64, {}}), lr = g.input("learning_rate", {DType::F32, {}});
  const CtrInputs in{
      g.input("ids", {DType::I64, {o.batch, kFields}}), {}, g.input("dense", {DType::F32, {o.batch, kDense}})};
  const Value label = g.input("label", {DType::F32, {o.batch}}), weight = g.input("weight", {DType::F32, {o.batch}});
  const Value loss = bce_with_logits(model->logits(in, {step, weight, true}), label, weight);
  g.output("loss", loss);
  g.backward(loss);
  OptimizerOptions options;
  options.embedding = o.embedding;
  if (o.embedding == "adagrad" || o.embedding == "rowwise_adagrad") options.embedding_learning_rate = 1e-2;
  Optimizer optimizer(options);
  const auto parameters = model->parameters();
  optimizer.emit(g, parameters, lr, step, 1e-3);
  CompileOptions compiled;
  compiled.measure = o.measure, compiled.precision = o.precision;
  Program program = compile(g, compiled);
  if (o.dump) fmt::print(stderr, "{}", program.dump());

  std::vector<Batch> batches;
  for (int i = 0; i < kBatches; ++i) batches.push_back(make_batch(o, card, 100 + static_cast<uint64_t>(i)));
  Tensor step_tensor = Tensor::of<int64_t>({0}, {}), rate = Tensor::of<float>({1e-3f}, {});
  const auto stream = make_stream();
  const auto feeds_of = [&](const Batch& b) {
    return std::vector<Tensor>{step_tensor, rate, b.ids, b.dense, b.label, b.weight};
  };
  std::vector<double> times;
  double elapsed = 0;
  std::optional<CacheCounts> before;
  // As the trainer where tables lie behind a cache: what the host does for a step, while the device does the one
  // before.
  const bool ahead = o.cache_rows > 0 && default_device().kind != Device::CPU;
  const auto feed = [&](int i) {
    ++*step_tensor.data<int64_t>();
    program.feed(feeds_of(batches[static_cast<size_t>(i % kBatches)]), *stream);
  };
  if (ahead) feed(0);
  for (int i = 0; elapsed < o.seconds || times.size() < 5; ++i) {
    if (i == 4) before = cache_counts(parameters);
    const auto start = std::chrono::steady_clock::now();
    if (!ahead) feed(i);
    program.run(*stream);
    if (ahead) feed(i + 1);
    stream->synchronize();
    const double t = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (i < 4) continue;  // warm-up
    times.push_back(t);
    elapsed += t;
  }
  if (before) {
    const CacheCounts c = *cache_counts(parameters) - *before;
    const double steps = static_cast<double>(times.size());
    fmt::print(
        stderr,
        "# cache hit rate {:.4f}, of {:.0f} rows a step; {:.3f} MB a step to the device, {:.3f} MB back; the host's "
        "part {:.3f} ms a step{}, of them waiting for exchanges {:.3f}\n",
        c.hit_rate(), static_cast<double>(c.rows) / steps, static_cast<double>(c.bytes_in) * 1e-6 / steps,
        static_cast<double>(c.bytes_out) * 1e-6 / steps, c.seconds * 1e3 / steps,
        ahead ? " while the device works" : "", c.waited * 1e3 / steps);
  }
  std::sort(times.begin(), times.end());
  const double median = times[times.size() / 2];
  double flops = o.model == "DLRM" ? 6.0 * static_cast<double>(o.batch) * 27 * 27 * static_cast<double>(o.dim) : 0;
  for (const Parameter& p : parameters)
    if (p.value().shape().rank() == 2 && p.group == Group::Weight)
      flops += 6.0 * static_cast<double>(o.batch * p.value().numel());
  if (o.profile) print_profile(program, feeds_of(batches[0]), *stream, 16);
  const double gflops = flops / median * 1e-9;
  fmt::print(stderr,
             "# step {:.2f} ms best {:.2f} n={} MLP GFLOP/step {:.2f} -> {:.1f} GFLOP/s share {:.1f} RSS {:.0f} MB "
             "loss {:.4f}\n",
             median * 1e3, times[0] * 1e3, times.size(), flops * 1e-9, gflops,
             100 * gflops / measured_peak_gflops(o.threads, o.precision), peak_rss_mb(),
             program.output("loss").item<float>());
  fmt::print("ctr_step[{},B={},rows={:.0e},{},T={}] {:.6g} samples/s\n", o.model, o.batch, o.rows, o.embedding,
             o.threads, static_cast<double>(o.batch) / median);
  return 0;
}

}  // namespace
}  // namespace winnow

int main(int argc, char** argv) {
  winnow::register_gpu();
  winnow::Options o;
  CLI::App app("Training step of a click model on synthetic batches");
  app.add_option("--model", o.model, "WideDeep, DeepFM, DCNv2, DLRM, ...");
  app.add_option("--embedding", o.embedding,
                 "optimizer of the tables: adagrad, rowwise_adagrad, adam, adam_lazy, sgd, ftrl");
  app.add_option("--batch", o.batch);
  app.add_option("--rows", o.rows, "rows of all tables together");
  app.add_option("--dim", o.dim);
  app.add_option("--zipf", o.zipf);
  app.add_option("--threads", o.threads);
  app.add_option("--device", o.device, "cpu or cuda")->capture_default_str();
  app.add_option("--cache-rows", o.cache_rows, "rows of the tables on the device, the others in host memory; 0: all");
  app.add_option("--cache-policy", o.cache_policy, "lru or lfu")->check(CLI::IsMember({"lru", "lfu"}));
  app.add_option("--precision", o.precision, "of products in training: f32, tf32 or bf16")
      ->transform(CLI::CheckedTransformer(std::map<std::string, winnow::Precision>{
          {"f32", winnow::Precision::F32}, {"tf32", winnow::Precision::TF32}, {"bf16", winnow::Precision::BF16}}));
  app.add_option("--seconds", o.seconds, "how long to measure");
  app.add_flag("--measure", o.measure, "devices: keep the fastest of the algorithms that libraries propose");
  app.add_flag("--profile", o.profile, "time by operator");
  app.add_flag("--dump", o.dump, "the compiled program");
  CLI11_PARSE(app, argc, argv);
  try {
    return winnow::run(o);
  } catch (const winnow::Error& e) {
    std::cerr << "stepbench: " << e.what() << "\n";
    return 1;
  }
}
