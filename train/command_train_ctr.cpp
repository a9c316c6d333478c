// winnow train ctr
#include "data/leaks.h"
#include "train/console.h"
#include "train/ctr_training.h"
#include "train/train_arguments.h"
#include "train/train_commands.h"

namespace winnow {
namespace {

struct CtrArguments : TrainArguments {
  std::string model;
  bool no_test = false;
};

int run_train(const CtrArguments& a) {
  a.prepare();
  const CtrConfig config(
      a.resolved(a.model.empty() ? std::vector<std::string>{} : std::vector{"model.name=" + a.model}));
  CtrTraining training(config, {.out = a.out, .resume = a.resume, .test = !a.no_test});
  const Dataset& dataset = training.dataset();
  if (!a.quiet) print_message(dataset.report.str() + "\n" + dataset.summary());
  if (!dataset.report.leaks.empty())
    print_message(str(dataset.report.leaks) +
                  "`winnow data check` shows these; data.leak_check: error ends training, off skips the search");
  handle_interrupts();
  ConsoleListener listener(config.loop.batch_size, a.quiet);
  const TrainResult result = training.train(listener, interrupted());
  if (result.interrupted) return report_stop(a, "ctr", result);
  const EvaluationReport report = training.evaluate(listener, interrupted());
  std::string next;
  if (!a.no_test && !a.json)
    next = fmt::format("next: winnow recommend --run {} --user {} --k 10\n", a.out, example_user(dataset));
  return report_end(a, result, report.str(), report.json(), next);
}

}  // namespace

void add_train_ctr(CLI::App& train, Action& chosen) {
  CLI::App* ctr = train.add_subcommand("ctr", "Predict clicks, likes or purchases from ids and numbers");
  ctr->footer(
      "Examples:\n"
      "  winnow train ctr --config examples/ctr/movielens100k.yaml --out runs/ml\n"
      "  winnow train ctr --config examples/ctr/movielens100k.yaml --model DCNv2 --set model.embedding_dim=32 --out "
      "runs/dcn\n"
      "  winnow train ctr --out runs/ml --resume\n"
      "Exit codes: 0 done; 1 an error, or stopped with everything saved; 2 wrong usage.");
  auto a = std::make_shared<CtrArguments>();
  a->add_to(*ctr);
  ctr->add_option("--model", a->model, "LR, FM, DNN, UserItemMLP, WideDeep, DeepFM, DCNv2, DLRM (model.name)");
  ctr->add_flag("--no-test", a->no_test, "evaluate on the validation split; the test split is never scored");
  ctr->callback([a, &chosen] {
    a->check_given();
    chosen = [a] { return run_train(*a); };
  });
}

}  // namespace winnow
