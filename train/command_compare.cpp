// winnow compare
#include <cstdio>

#include "core/file.h"
#include "core/parallel.h"
#include "train/commands.h"
#include "train/compare.h"
#include "train/report/compare_report.h"

namespace winnow {
namespace {

struct CompareArguments {
  std::vector<std::string> runs;
  CompareOptions options;
  std::string html;
  int threads = 0;
  bool json = false;
};

}  // namespace

void add_compare_command(CLI::App& app, Action& chosen) {
  auto a = std::make_shared<CompareArguments>();
  CLI::App* command = app.add_subcommand(
      "compare", "Runs side by side on the rows they all predicted: intervals, paired differences, significance");
  command->add_option("runs", a->runs, "two or more run directories")->required();
  command->add_option("--metric", a->options.metrics, "some of auc, logloss, pr_auc, ne, brier")
      ->delimiter(',')
      ->capture_default_str();
  command->add_option("--resamples", a->options.bootstrap.resamples, "of the paired bootstrap")
      ->check(CLI::Range(200, 1000000))
      ->capture_default_str();
  command->add_option("--seed", a->options.bootstrap.seed, "of the resamples")->capture_default_str();
  command->add_option("--threads", a->threads, "compute threads; default: all cores")->check(CLI::Range(1, 1024));
  command->add_option("--html", a->html, "also write a page: intervals, differences, curves over each other");
  command->add_flag("--json", a->json, "print JSON");
  command->footer(
      "Example:\n"
      "  winnow compare runs/ml runs/dcn --metric auc,logloss --json\n"
      "  winnow compare runs/ml runs/dcn --html comparison.html\n"
      "The runs must have been evaluated on the same rows; `winnow train` and `winnow evaluate --save` write what is "
      "read.");
  command->callback([a, &chosen] {
    chosen = [a] {
      if (a->threads > 0) set_num_threads(a->threads);
      const Comparison comparison = compare_runs(a->runs, a->options);
      if (!a->html.empty()) write_atomically(a->html, render_compare(a->runs, comparison.json()));
      std::fputs((a->json ? comparison.json() + "\n" : comparison.str()).c_str(), stdout);
      return 0;
    };
  });
}

}  // namespace winnow
