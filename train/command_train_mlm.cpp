// winnow train mlm
#include "train/console.h"
#include "train/mlm_training.h"
#include "train/train_arguments.h"
#include "train/train_commands.h"

namespace winnow {
namespace {

struct MlmArguments : TrainArguments {
  std::string encoder;
};

int run_train(const MlmArguments& a) {
  a.prepare();
  std::vector<std::string> sets;
  if (!a.encoder.empty()) sets = {encoder_override(a.resolved().config, a.encoder), "tokenizer=null"};
  const MlmConfig config(a.resolved(std::move(sets)), a.out);
  handle_interrupts();
  MlmTraining training(config, {.out = a.out, .resume = a.resume}, [&](const std::string& text) {
    if (!a.quiet) print_message(text);
  });
  if (!a.quiet) print_message(training.corpus().str());
  ConsoleListener listener(config.loop.batch_size, a.quiet);
  const TrainResult result = training.train(listener, interrupted());
  if (result.interrupted) return report_stop(a, "mlm", result);
  if (!config.encoder.path.empty() && !training.model().has_published_head())
    print_message(
        fmt::format("{} carries no head for masked tokens: it was trained from scratch", config.encoder.path));
  const MlmReport report = training.evaluate();
  return report_end(
      a, result, report.str(), report.json(),
      fmt::format("next: winnow fill-mask --model {} --text \"... [MASK] ...\"\nencoder: {}/encoder\n", a.out, a.out));
}

}  // namespace

void add_train_mlm(CLI::App& train, Action& chosen) {
  CLI::App* mlm =
      train.add_subcommand("mlm", "Pre-train a text encoder: predict masked tokens of texts without labels");
  mlm->footer(
      "Examples:\n"
      "  winnow train mlm --config examples/text/mlm.yaml --out runs/mlm\n"
      "  winnow train mlm --config examples/text/mlm.yaml --encoder bert-base-chinese --lr 5e-5 --out runs/further\n"
      "  winnow train mlm --out runs/mlm --resume\n"
      "  winnow fill-mask --model runs/mlm --text 'a red cotton [MASK]'\n"
      "runs/mlm/encoder is a Hugging Face directory; other text jobs take it as encoder.path.\n"
      "Exit codes: 0 done; 1 an error, or stopped with everything saved; 2 wrong usage.");
  auto a = std::make_shared<MlmArguments>();
  a->add_to(*mlm);
  mlm->add_option("--encoder", a->encoder, "directory of published weights to go on from (encoder.path)");
  mlm->callback([a, &chosen] {
    a->check_given();
    chosen = [a] { return run_train(*a); };
  });
}

}  // namespace winnow
