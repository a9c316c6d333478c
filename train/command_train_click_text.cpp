// winnow train click-text
#include "data/leaks.h"
#include "train/click_text.h"
#include "train/console.h"
#include "train/train_arguments.h"
#include "train/train_commands.h"

namespace winnow {
namespace {

struct ClickTextArguments : TrainArguments {
  std::string encoder, model;
  bool no_test = false;
};

int run_train(const ClickTextArguments& a) {
  a.prepare();
  std::vector<std::string> sets;
  if (!a.encoder.empty()) sets.push_back(encoder_override(a.resolved().config, a.encoder));
  if (!a.model.empty()) sets.push_back("model.name=" + a.model);
  ClickTextTraining training(ClickTextConfig(a.resolved(std::move(sets))),
                             {.out = a.out, .resume = a.resume, .test = !a.no_test});
  const Dataset& dataset = training.dataset();
  if (!a.quiet) print_message(dataset.report.str() + "\n" + dataset.summary());
  if (!dataset.report.leaks.empty())
    print_message(str(dataset.report.leaks) +
                  "`winnow data check` shows these; data.leak_check: error ends training, off skips the search");
  handle_interrupts();
  ConsoleListener listener(training.batch_size(), a.quiet);
  const TrainResult result = training.train(listener, interrupted());
  if (result.interrupted) return report_stop(a, "click-text", result);
  const EvaluationReport report = training.evaluate();
  return report_end(a, result, report.str(), report.json(),
                    fmt::format("next: winnow compare {} RUN_OF_TRAIN_CTR\n", a.out));
}

}  // namespace

void add_train_click_text(CLI::App& train, Action& chosen) {
  CLI::App* command = train.add_subcommand("click-text", "Clicks from texts of users and items, alone or beside ids");
  command->footer(
      "Examples:\n"
      "  winnow train click-text --config examples/text/click_movielens.yaml --encoder all-MiniLM-L6-v2 --out "
      "runs/text\n"
      "  winnow train ctr --config examples/ctr/movielens100k.yaml --out runs/ids && winnow compare runs/text "
      "runs/ids\n"
      "  winnow train click-text --out runs/text --resume\n"
      "Exit codes: 0 done; 1 an error, or stopped with everything saved; 2 wrong usage.");
  auto a = std::make_shared<ClickTextArguments>();
  a->add_to(*command);
  command->add_option("--encoder", a->encoder, "directory of published weights (encoder.path)");
  command->add_option("--model", a->model, "the click model beside the text: DNN, DeepFM, ... (model.name)");
  command->add_flag("--no-test", a->no_test, "evaluate on the validation split; the test split is never scored");
  command->callback([a, &chosen] {
    a->check_given();
    chosen = [a] { return run_train(*a); };
  });
}

}  // namespace winnow
