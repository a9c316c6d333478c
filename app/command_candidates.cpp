// winnow candidates evaluate
#include <cstdio>

#include "app/candidates_evaluation.h"
#include "app/commands.h"
#include "core/parallel.h"
#include "train/train_arguments.h"

namespace winnow {
namespace {

struct CandidatesArguments {
  CandidatesEvaluationOptions options;
  int threads = 0;
  bool quiet = false, json = false;
};

int evaluate(const CandidatesArguments& a) {
  if (a.threads > 0) set_num_threads(a.threads);
  const CandidatesReport report = evaluate_candidates(a.options, [&](const std::string& what) {
    if (!a.quiet) print_message("evaluating: " + what);
  });
  std::fputs((a.json ? report.json() + "\n" : report.str()).c_str(), stdout);
  return 0;
}

}  // namespace

void add_candidates_command(CLI::App& app, Action& chosen) {
  CLI::App* candidates = app.add_subcommand("candidates", "Where recommended items come from (docs/recommend.md)");
  candidates->require_subcommand(1);
  auto a = std::make_shared<CandidatesArguments>();
  CLI::App* command = candidates->add_subcommand(
      "evaluate", "What each source finds of the test split, and the funnel beside scoring the whole catalogue");
  command->add_option("--run", a->options.run, "directory of a finished run of `winnow train ctr`")->required();
  command->add_option("--k", a->options.ks, "cut-offs; those beyond the catalogue are left out")
      ->delimiter(',')
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  command->add_option("--config", a->options.config, "a file with the section `recommend`; default: every source");
  command->add_option("--encoder", a->options.encoder, "directory of a text encoder, for the source `text`");
  command->add_option("--resamples", a->options.resamples, "of the bootstrap over users")
      ->check(CLI::Range(0, 100000))
      ->capture_default_str();
  command->add_option("--seed", a->options.seed, "of the bootstrap")->capture_default_str();
  command->add_option("--threads", a->threads, "compute threads; default: all cores")->check(CLI::Range(1, 1024));
  command->add_flag("--quiet", a->quiet, "no messages on stderr");
  command->add_flag("--json", a->json, "print JSON");
  command->footer("Example:\n  winnow candidates evaluate --run runs/ml --k 10,100,500");
  command->callback([a, &chosen] { chosen = [a] { return evaluate(*a); }; });
}

}  // namespace winnow
