#include "train/train_arguments.h"

#include <sys/prctl.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "core/config.h"
#include "core/parallel.h"

namespace winnow {

void print_message(const std::string& text) { std::fputs((text + "\n").c_str(), stderr); }

std::string encoder_override(const std::string& config, const std::string& directory) {
  std::string encoder = "encoder={path: " + nlohmann::json(directory).dump();
  for (const auto& [key, value] : Config::load(config).root().child("encoder").entries())
    for (const char* kept : {"max_len", "pooling", "normalize", "hidden_dropout_prob", "attention_probs_dropout_prob"})
      if (key == kept) encoder += fmt::format(", {}: {}", key, value.text());
  return encoder + "}";
}

void TrainArguments::add_to(CLI::App& command) {
  command.add_option("--config", common.config, "YAML file; with --resume, by default that of the run");
  command.add_option("--set", common.sets, "override a config key: a.b=c (repeatable)")->allow_extra_args(false);
  command.add_option("--data", data, "data file or folder (data.path)");
  command.add_option("--epochs", epochs, "most epochs (train.epochs)");
  command.add_option("--batch-size", batch_size, "rows a step (train.batch_size)");
  command.add_option("--lr", learning_rate, "learning rate (train.learning_rate)");
  command.add_option("--seed", seed, "of initial values, shuffling and dropout (train.seed)");
  command.add_option("--threads", threads, "compute threads; default: all cores")->check(CLI::Range(1, 1024));
  command.add_option("--device", device, "cpu or cuda")->capture_default_str();
  command.add_option("--out", out, "run directory")->required();
  command.add_flag("--resume", resume, "go on from the newest checkpoint of --out");
  command.add_option("--with-parent", with_parent, "the process that started this one: end when it ends")->group("");
  command.add_flag("--quiet", quiet, "no progress and no summary of the data on stderr");
  command.add_flag("--json", json, "print the evaluation as JSON");
}

CommonOptions TrainArguments::resolved(std::vector<std::string> more) const {
  std::vector<std::string> sets;
  if (!data.empty()) sets.push_back("data.path=" + nlohmann::json(data).dump());
  if (epochs) sets.push_back(fmt::format("train.epochs={}", *epochs));
  if (batch_size) sets.push_back(fmt::format("train.batch_size={}", *batch_size));
  if (learning_rate) sets.push_back(fmt::format("train.learning_rate={}", *learning_rate));
  if (seed) sets.push_back(fmt::format("train.seed={}", *seed));
  sets.insert(sets.end(), more.begin(), more.end());
  sets.insert(sets.end(), common.sets.begin(), common.sets.end());
  return {common.config.empty() ? out + "/config.yaml" : common.config, std::move(sets)};
}

void TrainArguments::prepare() const {
  if (with_parent > 0) {  // a trial of `winnow tune` ends with the tuner, however that ends: SIGTERM saves a checkpoint
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    WN_CHECK(getppid() == with_parent, Error, "the process {} that started this training has ended", with_parent);
  }
  if (threads > 0) set_num_threads(threads);
  set_default_device(parse_device(device));
}

void TrainArguments::check_given() const {
  if (common.config.empty() && !resume) throw CLI::RequiredError("--config");
}

int report_stop(const TrainArguments& a, const std::string& job, const TrainResult& result) {
  print_message(fmt::format("stopped at step {}; everything was saved. Go on with: winnow train {} --out {} --resume",
                            result.steps, job, a.out));
  return 1;
}

int report_end(const TrainArguments& a, const TrainResult& result, const std::string& text, const std::string& json,
               const std::string& next) {
  const std::string shown = a.json ? json + "\n"
                                   : fmt::format("{}best epoch {} of {}, {} steps\n{}report: {}/report.html\n", text,
                                                 result.best_epoch, result.epochs, result.steps, next, a.out);
  std::fputs(shown.c_str(), stdout);
  return 0;
}

}  // namespace winnow
