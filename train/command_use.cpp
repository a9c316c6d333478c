// winnow evaluate, winnow recommend: commands that read a finished run.
#include <cstdio>

#include "core/file.h"
#include "core/parallel.h"
#include "train/click_text.h"
#include "train/commands.h"
#include "train/match/training.h"
#include "train/rank_training.h"
#include "train/run.h"
#include "train/text_job.h"

namespace winnow {
namespace {

struct RunArguments {
  std::string run, user, device = "cpu";
  std::vector<std::string> sets;
  int64_t k = 10;
  int threads = 0;
  bool json = false, save = false, valid = false;
};

CLI::App* add_run_command(CLI::App& app, const char* name, const char* text, RunArguments& a) {
  CLI::App* command = app.add_subcommand(name, text);
  command->add_option("--run", a.run, "directory of a finished run")->required();
  command->add_option("--set", a.sets, "override a config key: a.b=c (repeatable)")->allow_extra_args(false);
  command->add_option("--threads", a.threads, "compute threads; default: all cores")->check(CLI::Range(1, 1024));
  command->add_option("--device", a.device, "cpu or cuda")->capture_default_str();
  command->add_flag("--json", a.json, "print JSON");
  return command;
}

void prepare(const RunArguments& a) {
  if (a.threads > 0) set_num_threads(a.threads);
  set_default_device(parse_device(a.device));
}

template <class R>
int print(const R& report, bool json) {
  std::fputs((json ? report.json() + "\n" : report.str()).c_str(), stdout);
  return 0;
}

template <class R>
int save_and_print(const R& report, const RunArguments& a) {
  if (a.save) save_evaluation(a.run, report);
  return print(report, a.json);
}

int evaluate(const RunArguments& a) {
  const Split split = a.valid ? Split::Valid : Split::Test;
  const std::string job = job_of_run(a.run);
  if (is_text_job(job)) {
    const TextEvaluation evaluation = OpenedTextRun(a.run, a.sets).evaluate(split);
    if (a.save) write_atomically(a.run + "/evaluation.json", evaluation.json + "\n");
    std::fputs((a.json ? evaluation.json + "\n" : evaluation.text).c_str(), stdout);
    return 0;
  }
  if (job == "click-text") return save_and_print(evaluate_click_text(a.run, a.sets, split), a);
  if (job == "rank") return save_and_print(OpenedRankRun(a.run, a.sets).evaluate(split), a);
  if (job == "match") return save_and_print(evaluate_match_run(a.run, a.sets, split), a);
  const OpenedRun run(a.run, a.sets);
  return save_and_print(evaluate_run(run.config, run.dataset, *run.model, run.config.model.name, split), a);
}

}  // namespace

void add_evaluate_command(CLI::App& app, Action& chosen) {
  auto a = std::make_shared<RunArguments>();
  CLI::App* command =
      add_run_command(app, "evaluate", "Metrics of a run on its test split, with intervals and baselines", *a);
  command->add_flag("--valid", a->valid, "the validation split instead of the test split (no ranking)");
  command->add_flag("--save", a->save, "write evaluation.json and predictions.safetensors of the run anew");
  command->footer("Example:\n  winnow evaluate --run runs/ml --set evaluation.ks=[5,10,20] --json");
  command->callback([a, &chosen] {
    chosen = [a] {
      prepare(*a);
      return evaluate(*a);
    };
  });
}

void add_recommend_command(CLI::App& app, Action& chosen) {
  auto a = std::make_shared<RunArguments>();
  CLI::App* command =
      add_run_command(app, "recommend", "The best items for one user, and what the user really liked next", *a);
  command->add_option("--user", a->user,
                      "user id as in the data; default: one with likes before and in the test split");
  command->add_option("--k", a->k, "how many")->check(CLI::Range(1, 100000))->capture_default_str();
  command->footer("Example:\n  winnow recommend --run runs/ml --user 196 --k 10");
  command->callback([a, &chosen] {
    chosen = [a] {
      prepare(*a);
      const OpenedRun run(a->run, a->sets);
      return print(recommend(run, a->user, a->k), a->json);
    };
  });
}

}  // namespace winnow
