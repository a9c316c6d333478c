// Trains a masked language model for some steps and leaves what a peer needs to do the same: OUT/initial (the weights
// before, a Hugging Face directory), OUT/batches.jsonl (each batch as it was fed: masked ids, lengths of the rows,
// places, labels) and OUT/losses.jsonl (our loss, learning rate and gradient norm of each step).
// bench/peers/mlm_curve.py trains transformers on them.
//   mlm_curve CONFIG OUT STEPS [KEY=VALUE...]
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "train/ctr_training.h"
#include "train/mlm_training.h"

namespace winnow {
namespace {

using Json = nlohmann::json;

std::vector<int64_t> used(const Tensor& t, int64_t n) {
  const auto all = t.span<int64_t>();
  return {all.begin(), all.begin() + n};
}

void write_batches(const MlmConfig& config, const MlmTraining& training, const std::string& path) {
  TokenMasker masker(training.model().encoder().tokenizer(), config.masking, config.batches.seed);
  MaskedBatches batches(training.corpus().train, masker, config.batches);
  AtomicFile file(path);
  int64_t step = 0;
  for (int64_t epoch = 0; step < config.loop.train.max_steps; ++epoch)
    for (batches.start_epoch(epoch); step < config.loop.train.max_steps && batches.next(); ++step) {
      const auto f = batches.feeds();
      std::vector<int64_t> lengths;
      const auto offsets = f[3].span<int64_t>();
      for (size_t r = 0; r + 1 < offsets.size() && offsets[r + 1] > offsets[r]; ++r)
        lengths.push_back(offsets[r + 1] - offsets[r]);
      file.write(Json{{"ids", used(f[0], batches.tokens())},
                      {"lengths", lengths},
                      {"places", used(f[4], batches.masked())},
                      {"labels", used(f[5], batches.masked())}}
                     .dump() +
                 "\n");
    }
  file.commit();
}

// Each step's loss, from the means that the trainer reports.
class Losses final : public SilentListener {
 public:
  explicit Losses(const std::string& path) : file_(path) {}
  void on_step(int64_t epoch, int64_t step, int64_t, double mean) override {
    if (epoch != epoch_) before_ = 0;
    epoch_ = epoch;
    const double sum = mean * static_cast<double>(step);
    file_.write(Json{{"loss", sum - before_}}.dump() + "\n");
    before_ = sum;
  }
  void commit() { file_.commit(); }

 private:
  AtomicFile file_;
  int64_t epoch_ = -1;
  double before_ = 0;
};

int run(int argc, char** argv) {
  if (argc < 4) {
    std::fputs("usage: mlm_curve CONFIG OUT STEPS [KEY=VALUE...]\n", stderr);
    return 2;
  }
  const std::string out = argv[2];
  std::vector<std::string> sets = {"encoder.hidden_dropout_prob=0", "encoder.attention_probs_dropout_prob=0",
                                   fmt::format("train.max_steps={}", std::atoll(argv[3])), "train.monitor=none",
                                   "train.epochs=1000000"};
  sets.insert(sets.end(), argv + 4, argv + argc);
  const MlmConfig config({argv[1], sets}, out);
  MlmTraining training(config, {.out = out});
  training.model().initialize(config.loop.train.seed);  // as the trainer will
  training.model().save(out + "/initial");
  write_batches(config, training, out + "/batches.jsonl");
  const OptimizerOptions& o = config.loop.train.optimizer;
  const ScheduleOptions& s = config.loop.train.schedule;
  write_atomically(out + "/recipe.json", Json{{"learning_rate", s.learning_rate},
                                              {"warmup_fraction", s.warmup_fraction},
                                              {"steps", config.loop.train.max_steps},
                                              {"beta1", o.beta1},
                                              {"beta2", o.beta2},
                                              {"weight_decay", o.weight_decay},
                                              {"clip_norm", o.clip_norm}}
                                                 .dump() +
                                             "\n");
  Losses losses(out + "/losses.jsonl");
  const std::atomic<bool> never{false};
  training.train(losses, never);
  losses.commit();
  return 0;
}

}  // namespace
}  // namespace winnow

int main(int argc, char** argv) {
  try {
    return winnow::run(argc, argv);
  } catch (const std::exception& e) { std::fputs((std::string("mlm_curve: ") + e.what() + "\n").c_str(), stderr); }
  return 1;
}
