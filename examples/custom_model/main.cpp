// custom_model CONFIG OUT: trains FwFM by the library and adds a metric of its own.
// custom_model COMMAND ...: every command of `winnow`, with FwFM among the models.
#include <cstdio>

#include "ours.h"
#include "train/console.h"
#include "train/ctr_task.h"
#include "train/ctr_training.h"
#include "train/program.h"

using namespace winnow;

namespace {

// A metric of our own: the share of clicks among the test rows whose predicted probability is over one half.
double clicks_where_likely(CtrTraining& training) {
  const std::vector<float> labels = split_columns(training.dataset(), Split::Test).labels;
  const std::vector<float> logits = CtrTask(training.dataset(), training.model(), 4096, 0, {}).predict(Split::Test);
  double rows = 0, clicks = 0;
  for (size_t i = 0; i < labels.size(); ++i)
    if (logits[i] > 0) rows += 1, clicks += static_cast<double>(labels[i]);
  return rows > 0 ? clicks / rows : 0;
}

int train(const char* file, const char* out) {
  const CtrConfig config({.config = file, .sets = {"model.name=FwFM", "model.pair_init_std=0.5"}});
  CtrTraining training(config, {.out = out});
  ConsoleListener listener(config.loop.batch_size);
  handle_interrupts();
  if (training.train(listener, interrupted()).interrupted) return 1;
  const EvaluationReport report = training.evaluate(listener, interrupted());
  std::printf("%sclicks where likely: %.4f\n", report.str().c_str(), clicks_where_likely(training));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  register_field_pairs();
  register_fwfm();
  if (argc != 3 || !std::string(argv[1]).ends_with(".yaml")) return run_program(argc, argv);
  try {
    return train(argv[1], argv[2]);
  } catch (const Error& error) { std::fprintf(stderr, "custom_model: %s\n", error.what()); }
  return 1;
}
