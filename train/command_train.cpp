// winnow train ctr
#include <sys/prctl.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "core/parallel.h"
#include "data/leaks.h"
#include "train/commands.h"
#include "train/console.h"
#include "train/ctr_training.h"

namespace winnow {
namespace {

struct TrainArguments {
  CommonOptions common;
  std::string data, model, device = "cpu", out;
  std::optional<int64_t> epochs, batch_size;
  std::optional<double> learning_rate;
  std::optional<uint64_t> seed;
  int threads = 0;
  pid_t with_parent = 0;
  bool resume = false, json = false, no_test = false, quiet = false;
};

// Flags are short names of config keys; --set, which may name the same keys, wins.
std::vector<std::string> overrides(const TrainArguments& a) {
  std::vector<std::string> sets;
  if (!a.data.empty()) sets.push_back("data.path=" + nlohmann::json(a.data).dump());
  if (!a.model.empty()) sets.push_back("model.name=" + a.model);
  if (a.epochs) sets.push_back(fmt::format("train.epochs={}", *a.epochs));
  if (a.batch_size) sets.push_back(fmt::format("train.batch_size={}", *a.batch_size));
  if (a.learning_rate) sets.push_back(fmt::format("train.learning_rate={}", *a.learning_rate));
  if (a.seed) sets.push_back(fmt::format("train.seed={}", *a.seed));
  sets.insert(sets.end(), a.common.sets.begin(), a.common.sets.end());
  return sets;
}

void message(const std::string& text) { std::fputs((text + "\n").c_str(), stderr); }

// A trial of `winnow tune` ends with the tuner, however that ends: SIGTERM saves a checkpoint.
void end_with_parent(pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  WN_CHECK(getppid() == parent, Error, "the process {} that started this training has ended", parent);
}

int run_train(const TrainArguments& a) {
  if (a.with_parent > 0) end_with_parent(a.with_parent);
  if (a.threads > 0) set_num_threads(a.threads);
  device_info(parse_device(a.device));
  CommonOptions common{a.common.config, overrides(a)};
  if (common.config.empty()) common.config = a.out + "/config.yaml";
  const CtrConfig config(common);
  CtrTraining training(config, {.out = a.out, .resume = a.resume, .test = !a.no_test});
  const Dataset& dataset = training.dataset();
  if (!a.quiet) message(dataset.report.str() + "\n" + dataset.summary());
  if (!dataset.report.leaks.empty())
    message(str(dataset.report.leaks) +
            "`winnow data check` shows these; data.leak_check: error ends training, off skips the search");
  handle_interrupts();
  ConsoleListener listener(config.loop.batch_size, a.quiet);
  const TrainResult result = training.train(listener, interrupted());
  if (result.interrupted) {
    message(fmt::format("stopped at step {}; everything was saved. Go on with: winnow train ctr --out {} --resume",
                        result.steps, a.out));
    return 1;
  }
  const EvaluationReport report = training.evaluate(listener, interrupted());
  if (a.json) {
    std::puts(report.json().c_str());
    return 0;
  }
  std::string text =
      fmt::format("{}best epoch {} of {}, {} steps\n", report.str(), result.best_epoch, result.epochs, result.steps);
  if (!a.no_test)
    text += fmt::format("next: winnow recommend --run {} --user {} --k 10\n", a.out, example_user(dataset));
  text += fmt::format("report: {}/report.html\n", a.out);
  std::fputs(text.c_str(), stdout);
  return 0;
}

}  // namespace

void add_train_command(CLI::App& app, Action& chosen) {
  CLI::App* train = app.add_subcommand("train", "Train a model; `winnow train ctr --help`");
  train->require_subcommand(1);
  CLI::App* ctr = train->add_subcommand("ctr", "Predict clicks, likes or purchases from ids and numbers");
  ctr->footer(
      "Examples:\n"
      "  winnow train ctr --config examples/ctr/movielens100k.yaml --out runs/ml\n"
      "  winnow train ctr --config examples/ctr/movielens100k.yaml --model DCNv2 --set model.embedding_dim=32 --out "
      "runs/dcn\n"
      "  winnow train ctr --out runs/ml --resume\n"
      "Exit codes: 0 done; 1 an error, or stopped with everything saved; 2 wrong usage.");
  auto a = std::make_shared<TrainArguments>();
  ctr->add_option("--config", a->common.config, "YAML file; with --resume, by default that of the run");
  ctr->add_option("--set", a->common.sets, "override a config key: a.b=c (repeatable)")->allow_extra_args(false);
  ctr->add_option("--data", a->data, "folder of the data files (data.path)");
  ctr->add_option("--model", a->model, "LR, FM, DNN, UserItemMLP, WideDeep, DeepFM, DCNv2, DLRM (model.name)");
  ctr->add_option("--epochs", a->epochs, "most epochs (train.epochs)");
  ctr->add_option("--batch-size", a->batch_size, "rows a step (train.batch_size)");
  ctr->add_option("--lr", a->learning_rate, "learning rate (train.learning_rate)");
  ctr->add_option("--seed", a->seed, "of initial values, shuffling and dropout (train.seed)");
  ctr->add_option("--threads", a->threads, "compute threads; default: all cores")->check(CLI::Range(1, 1024));
  ctr->add_option("--device", a->device, "cpu or cuda")->capture_default_str();
  ctr->add_option("--out", a->out, "run directory")->required();
  ctr->add_flag("--resume", a->resume, "go on from the newest checkpoint of --out");
  ctr->add_flag("--no-test", a->no_test, "evaluate on the validation split; the test split is never scored");
  ctr->add_option("--with-parent", a->with_parent, "the process that started this one: end when it ends")->group("");
  ctr->add_flag("--quiet", a->quiet, "no progress and no summary of the data on stderr");
  ctr->add_flag("--json", a->json, "print the evaluation as JSON");
  ctr->callback([a, &chosen] {
    if (a->common.config.empty() && !a->resume) throw CLI::RequiredError("--config");
    chosen = [a] { return run_train(*a); };
  });
}

}  // namespace winnow
