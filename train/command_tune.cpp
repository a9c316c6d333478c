// winnow tune
#include <algorithm>
#include <cstdio>
#include <thread>

#include "core/file.h"
#include "train/commands.h"
#include "train/console.h"
#include "train/tune/study_report.h"

namespace winnow {
namespace {

struct TuneArguments {
  CommonOptions common;
  std::string space, out, device = "cpu";
  StudyOptions study;
  std::optional<int64_t> trials;
  int jobs = 2;
  bool resume = false, json = false;
};

void message(const std::string& text) { std::fputs((text + "\n").c_str(), stderr); }

class ConsoleStudyListener final : public StudyListener {
 public:
  explicit ConsoleStudyListener(const Study& study) : study_(study) {}
  void on_message(const std::string& text) override { message(text); }
  void on_trial(const TrialResult& trial, const TrialResult* best, double seconds_left) override {
    std::string text = fmt::format("trial {}: ", trial.trial);
    text += trial.failed() ? "failed: " + trial.error : fmt::format("{} {:.5f}", study_.metric(), trial.mean());
    if (trial.values.size() > 1) text += fmt::format(" +- {:.5f}", trial.deviation());
    if (!trial.failed()) text += fmt::format(" ({})", fmt::join(trial.sets, ", "));
    if (best != nullptr) text += fmt::format("; best {:.5f}, trial {}", best->mean(), best->trial);
    message(text + fmt::format("; {} left", duration(seconds_left)));
  }

 private:
  const Study& study_;
};

std::string base_config(const TuneArguments& a) {
  Config config = Config::load(a.common.config);
  for (const std::string& set : a.common.sets) config.apply_override(set);
  return config.emit();
}

Study open_study(const TuneArguments& a) {
  constexpr size_t kMostText = size_t{1} << 20;
  if (!a.resume) {
    StudyOptions options = a.study;
    if (a.trials) options.trials = *a.trials;
    options.lag = std::max<int64_t>(options.lag, a.jobs);
    return Study::create(a.out, options, base_config(a), read_text(a.space, kMostText));
  }
  Study study = Study::open(a.out, a.trials.value_or(0));
  if (!a.common.config.empty())
    WN_CHECK(base_config(a) == read_text(a.out + "/base.yaml", kMostText), ConfigError,
             "{} is not the config that the study in {} was started with", a.common.config, a.out);
  if (!a.space.empty())
    WN_CHECK(read_text(a.space, kMostText) == read_text(a.out + "/space.yaml", kMostText), ConfigError,
             "{} is not the search space that the study in {} was started with", a.space, a.out);
  return study;
}

int run_tune(const TuneArguments& a) {
  device_info(parse_device(a.device));  // an error now instead of one from each trial
  Study study = open_study(a);
  handle_interrupts();
  ConsoleStudyListener listener(study);
  const auto cores = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  if (!study.run(a.jobs, {std::max(1, cores / a.jobs), a.device}, listener, interrupted())) {
    message(fmt::format("stopped; everything was saved. Go on with: winnow tune --out {} --resume", a.out));
    return 1;
  }
  write_atomically(a.out + "/tune.html", study_page(study));
  write_atomically(a.out + "/best.yaml", study.best_config());
  if (a.json) {
    std::puts(study_json(study).c_str());
    return 0;
  }
  std::fputs(fmt::format("{}report: {}/tune.html\nnext: winnow train ctr --config {}/best.yaml --out {}/best\n",
                         study_table(study), a.out, a.out, a.out)
                 .c_str(),
             stdout);
  return 0;
}

}  // namespace

void add_tune_command(CLI::App& app, Action& chosen) {
  CLI::App* command = app.add_subcommand("tune", "Search for the best values of config keys");
  command->footer(
      "Examples:\n"
      "  winnow tune --config examples/ctr/synthetic.yaml --space examples/tune/synthetic.yaml --out runs/tune "
      "--trials 20\n"
      "  winnow tune --out runs/tune --resume\n"
      "A space: 'train.learning_rate: {log_uniform: [1e-4, 1e-2]}', a key a line; docs/tuning.md has all kinds.\n"
      "Exit codes: 0 done; 1 an error, or stopped with everything saved; 2 wrong usage.");
  auto a = std::make_shared<TuneArguments>();
  StudyOptions& s = a->study;
  command->add_option("--config", a->common.config, "YAML file that the trials vary");
  command->add_option("--set", a->common.sets, "override a config key: a.b=c (repeatable)")->allow_extra_args(false);
  command->add_option("--space", a->space, "YAML file: which keys vary, and how");
  command->add_option("--out", a->out, "directory of the study")->required();
  command->add_option("--trials", a->trials, "how many; 30. With --resume more than before (tpe, random)")
      ->check(CLI::Range(1, 100000));
  command->add_option("--method", s.method, "how points are chosen")
      ->check(CLI::IsMember({"grid", "random", "tpe", "halving"}))
      ->capture_default_str();
  command->add_option("--jobs", a->jobs, "trainings at a time; the cores are shared between them")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  command->add_option("--device", a->device, "cpu or cuda")->capture_default_str();
  command->add_option("--folds", s.folds, "cross-validation: each trial trains this often; 1: the validation split")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->add_option("--seed", s.seed, "of the proposals")->capture_default_str();
  command->add_option("--metric", s.metric, "of the validation split; default: train.monitor");
  command->add_option("--eta", s.eta, "halving: the best 1 / eta go on, with eta times the budget")
      ->check(CLI::Range(2, 100))
      ->capture_default_str();
  command->add_option("--least-budget", s.least_budget, "halving: epochs (steps with train.max_steps) to begin with")
      ->check(CLI::Range(1, 1000000000))
      ->capture_default_str();
  command->add_flag("--resume", a->resume, "go on with the study in --out");
  command->add_flag("--json", a->json, "print the result as JSON");
  command->callback([a, &chosen, command] {
    if (!a->resume && a->common.config.empty()) throw CLI::RequiredError("--config");
    if (!a->resume && a->space.empty()) throw CLI::RequiredError("--space");
    if (a->resume)
      for (const char* fixed : {"--method", "--folds", "--seed", "--metric", "--eta", "--least-budget"})
        if (command->count(fixed) > 0)
          throw CLI::ValidationError(fixed, "belongs to the study in --out and cannot change with --resume");
    if (a->resume && a->common.config.empty() && !a->common.sets.empty())
      throw CLI::ValidationError("--set", "needs --config with --resume");
    chosen = [a] { return run_tune(*a); };
  });
}

}  // namespace winnow
