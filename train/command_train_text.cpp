// winnow train classify, winnow train value-text
#include "train/console.h"
#include "train/text_job.h"
#include "train/train_arguments.h"
#include "train/train_commands.h"

namespace winnow {
namespace {

struct TextArguments : TrainArguments {
  std::string encoder;
  bool no_test = false;
};

int run_train(const TextArguments& a, const std::string& job) {
  a.prepare();
  std::vector<std::string> sets;
  if (!a.encoder.empty()) sets.push_back(encoder_override(a.resolved().config, a.encoder));
  TextTraining training(TextConfig(a.resolved(std::move(sets)), job),
                        {.out = a.out, .resume = a.resume, .test = !a.no_test});
  if (!a.quiet) print_message(training.summary());
  handle_interrupts();
  ConsoleListener listener(training.batch_size(), a.quiet);
  const TrainResult result = training.train(listener, interrupted());
  if (result.interrupted) return report_stop(a, job, result);
  const TextEvaluation evaluation = training.evaluate();
  return report_end(a, result, evaluation.text, evaluation.json,
                    fmt::format("next: winnow predict --run {} --text \"...\"\n", a.out));
}

void add_text_job(CLI::App& train, Action& chosen, const std::string& job, const std::string& what,
                  const std::string& example) {
  CLI::App* command = train.add_subcommand(job, what);
  command->footer(
      fmt::format("Examples:\n  winnow train {0} --config {1} --encoder all-MiniLM-L6-v2 --out runs/{0}\n"
                  "  winnow predict --run runs/{0} --text \"...\"\n  winnow train {0} --out runs/{0} --resume\n"
                  "Exit codes: 0 done; 1 an error, or stopped with everything saved; 2 wrong usage.",
                  job, example));
  auto a = std::make_shared<TextArguments>();
  a->add_to(*command);
  command->add_option("--encoder", a->encoder, "directory of published weights (encoder.path)");
  command->add_flag("--no-test", a->no_test, "evaluate on the validation split; the test split is never scored");
  command->callback([a, &chosen, job] {
    a->check_given();
    chosen = [a, job] { return run_train(*a, job); };
  });
}

}  // namespace

void add_train_classify(CLI::App& train, Action& chosen) {
  add_text_job(train, chosen, "classify", "Classes of texts: intents, product categories, sentiment",
               "examples/text/banking77.yaml");
}

void add_train_value_text(CLI::App& train, Action& chosen) {
  add_text_job(train, chosen, "value-text", "A number from a text: price, order value",
               "examples/text/value_online_retail.yaml");
}

}  // namespace winnow
