// winnow train rank
#include <algorithm>

#include "train/console.h"
#include "train/rank_training.h"
#include "train/train_arguments.h"
#include "train/train_commands.h"

namespace winnow {
namespace {

struct RankArguments : TrainArguments {
  std::string loss;
  bool no_test = false;
};

int run_train(const RankArguments& a) {
  a.prepare();
  const RankConfig config(a.resolved(a.loss.empty() ? std::vector<std::string>{} : std::vector{"loss.name=" + a.loss}));
  RankTraining training(config, {.out = a.out, .resume = a.resume, .test = !a.no_test});
  if (!a.quiet) print_message(training.data().summary());
  handle_interrupts();
  const RankingRows& rows = training.data().split(Split::Train).rows;
  ConsoleListener listener(std::max<int64_t>(1, config.loop.batch_size * rows.rows() / rows.query_count()), a.quiet);
  const TrainResult result = training.train(listener, interrupted());
  if (result.interrupted) return report_stop(a, "rank", result);
  const RankReport report = training.evaluate();
  return report_end(a, result, report.str(), report.json());
}

}  // namespace

void add_train_rank(CLI::App& train, Action& chosen) {
  CLI::App* rank = train.add_subcommand("rank", "Rank the results of a query by graded relevance");
  rank->footer(
      "Examples:\n"
      "  winnow train rank --config examples/rank/letor.yaml --out runs/letor\n"
      "  winnow train rank --config examples/rank/letor.yaml --loss listnet --set model.name=linear --out runs/linear\n"
      "  winnow train rank --out runs/letor --resume\n"
      "Exit codes: 0 done; 1 an error, or stopped with everything saved; 2 wrong usage.");
  auto a = std::make_shared<RankArguments>();
  a->add_to(*rank);
  rank->add_option("--loss", a->loss, "lambdarank, ranknet, listnet, mse, ordinal (loss.name)");
  rank->add_flag("--no-test", a->no_test, "evaluate on the validation split; the test split is never scored");
  rank->callback([a, &chosen] {
    a->check_given();
    chosen = [a] { return run_train(*a); };
  });
}

}  // namespace winnow
