// winnow train ctr
#include <sys/stat.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "core/parallel.h"
#include "data/leaks.h"
#include "train/commands.h"
#include "train/console.h"
#include "train/run.h"

namespace winnow {
namespace {

struct TrainArguments {
  CommonOptions common;
  std::string data, model, device = "cpu", out;
  std::optional<int64_t> epochs, batch_size;
  std::optional<double> learning_rate;
  std::optional<uint64_t> seed;
  int threads = 0;
  bool resume = false, json = false;
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

// Trains one model on the data; the parameters of the best epoch are in it afterwards.
TrainResult train_model(const CtrConfig& config, const Dataset& dataset, CtrModel& model, const std::string& directory,
                        bool resume, bool quiet) {
  make_directories(directory);
  CtrTask task(dataset, model, config.loop.batch_size, config.loop.train.seed, config.loop.train.compile);
  ConsoleListener listener(config.loop.batch_size, quiet);
  Trainer trainer(task, config.loop.train, directory, listener, interrupted());
  return trainer.run(resume);
}

// Models trained beside, with the same settings, for comparison.
void add_baseline_models(const CtrConfig& config, const Dataset& dataset, const std::string& out, bool resume,
                         EvaluationReport& report) {
  for (const std::string& name : config.evaluation.baselines) {
    if (name == config.model.name) continue;
    message(fmt::format("baseline {}", name));
    CtrConfig other = config;
    other.model.name = name;
    const auto model = make_ctr_model(ctr_spec(dataset.map), other.model);
    if (train_model(other, dataset, *model, fmt::format("{}/baseline-{}", out, name), resume, true).interrupted) return;
    EvaluationReport result = evaluate_run(other, dataset, *model, name);
    report.baselines.insert(report.baselines.begin(), {name, std::move(result.metrics), std::move(result.ranking)});
  }
}

int run_train(const TrainArguments& a) {
  if (a.threads > 0) set_num_threads(a.threads);
  device_info(parse_device(a.device));
  CommonOptions common{a.common.config, overrides(a)};
  if (common.config.empty()) common.config = a.out + "/config.yaml";
  const CtrConfig config(common);
  const std::string checkpoints = a.out + "/checkpoints";
  WN_CHECK(a.resume || !directory_exists(checkpoints), ConfigError,
           "{} holds checkpoints of an earlier run; go on with --resume, or give another --out", a.out);
  const Dataset dataset = load_dataset(config.schema);
  message(dataset.report.str() + "\n" + dataset.summary());
  if (const std::vector<Leak> leaks = check_leaks(dataset, config.schema); !leaks.empty())
    message(str(leaks) +
            "winnow data check shows them again; data.leak_check: error stops training, off skips the search");
  const auto model = make_ctr_model(ctr_spec(dataset.map), config.model);
  handle_interrupts();
  make_directories(a.out);
  write_atomically(a.out + "/config.yaml", config.resolved);
  const TrainResult result = train_model(config, dataset, *model, a.out, a.resume, false);
  if (result.interrupted) {
    message(fmt::format("stopped at step {}; everything was saved. Go on with: winnow train ctr --out {} --resume",
                        result.steps, a.out));
    return 1;
  }
  save_run(a.out, config, dataset, *model);
  EvaluationReport report = evaluate_run(config, dataset, *model, config.model.name);
  add_baseline_models(config, dataset, a.out, a.resume, report);
  write_atomically(a.out + "/evaluation.json", report.json() + "\n");
  if (a.json)
    std::puts(report.json().c_str());
  else
    std::fputs(fmt::format("{}best epoch {} of {}, {} steps\nnext: winnow recommend --run {} --user {} --k 10\n",
                           report.str(), result.best_epoch, result.epochs, result.steps, a.out, example_user(dataset))
                   .c_str(),
               stdout);
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
  ctr->add_flag("--json", a->json, "print the evaluation as JSON");
  ctr->callback([a, &chosen] {
    if (a->common.config.empty() && !a->resume) throw CLI::RequiredError("--config");
    chosen = [a] { return run_train(*a); };
  });
}

}  // namespace winnow
