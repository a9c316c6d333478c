// winnow train match
#include <cstdio>

#include "train/console.h"
#include "train/match/training.h"
#include "train/train_arguments.h"
#include "train/train_commands.h"

namespace winnow {
namespace {

struct MatchArguments : TrainArguments {
  std::string loss, encoder;
  bool no_test = false;
};

int run_train(const MatchArguments& a) {
  a.prepare();
  std::vector<std::string> sets;
  if (!a.loss.empty()) sets.push_back("loss.name=" + a.loss);
  if (!a.encoder.empty()) sets.push_back(encoder_override(a.resolved().config, a.encoder));
  const MatchConfig config(a.resolved(std::move(sets)));
  MatchTraining training(config, {.out = a.out, .resume = a.resume, .test = !a.no_test});
  if (!a.quiet) print_message(training.data().summary());
  handle_interrupts();
  ConsoleListener listener(config.loop.batch_size, a.quiet);
  const TrainResult result = training.train(listener, interrupted());
  if (result.interrupted) return report_stop(a, "match", result);
  const MatchReport report = training.evaluate();
  return report_end(a, result, report.str(), report.json(),
                    fmt::format("next: winnow match --run {} --items FILE.csv --text \"...\" --k 10\n", a.out));
}

}  // namespace

void add_train_match(CLI::App& train, Action& chosen) {
  CLI::App* match = train.add_subcommand("match", "Bring texts that belong together near each other: a dual encoder");
  match->footer(
      "Examples:\n"
      "  winnow train match --config examples/text/match_banking77.yaml --out runs/questions\n"
      "  winnow train match --config examples/text/match_online_retail.yaml --set mining.negatives=2 --out runs/gifts\n"
      "  winnow train match --out runs/gifts --resume\n"
      "Exit codes: 0 done; 1 an error, or stopped with everything saved; 2 wrong usage.");
  auto a = std::make_shared<MatchArguments>();
  a->add_to(*match);
  match->add_option("--loss", a->loss, "softmax, triplet, cosent (loss.name)");
  match->add_option("--encoder", a->encoder, "directory of published weights (encoder.path)");
  match->add_flag("--no-test", a->no_test, "evaluate on the validation split; the test split is never scored");
  match->callback([a, &chosen] {
    a->check_given();
    chosen = [a] { return run_train(*a); };
  });
}

}  // namespace winnow
