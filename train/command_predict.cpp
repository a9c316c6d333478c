// winnow predict: answers of a finished text run for texts from the command line or a table.
#include <cstdio>
#include <nlohmann/json.hpp>

#include "core/parallel.h"
#include "train/commands.h"
#include "train/run.h"
#include "train/text_job.h"

namespace winnow {
namespace {

using Json = nlohmann::json;

struct PredictArguments {
  std::string run, data, format, device = "cpu";
  std::vector<std::string> texts, seconds, sets;
  int64_t top = 1;
  int threads = 0;
  bool json = false;
};

struct Texts {
  std::vector<std::string> first, second;
};

Texts texts_of(const PredictArguments& a, const TextConfig& config) {
  if (a.data.empty()) {
    const bool pairs = !config.data.second.empty();
    WN_CHECK(pairs || a.seconds.empty(), ConfigError, "{} was trained on single texts: leave --second out", a.run);
    WN_CHECK(!pairs || a.seconds.size() == a.texts.size(), ConfigError,
             "{} was trained on pairs of texts: give one --second for each --text", a.run);
    return {a.texts, a.seconds};
  }
  TextTable table = read_texts(config.data, {.path = a.data, .format = a.format});
  return {std::move(table.first), std::move(table.second)};
}

int run_predict(const PredictArguments& a) {
  if (a.threads > 0) set_num_threads(a.threads);
  set_default_device(parse_device(a.device));
  const std::string name = job_of_run(a.run);
  WN_CHECK(is_text_job(name), ConfigError,
           "{} is a run of `winnow train {}`; predict answers for runs of classify and "
           "value-text",
           a.run, name);
  const OpenedTextRun run(a.run, a.sets);
  const Texts texts = texts_of(a, run.config());
  const std::vector<std::string_view> first(texts.first.begin(), texts.first.end()),
      second(texts.second.begin(), texts.second.end());
  const std::vector<float> outputs = run.outputs(first, second);
  const auto width = static_cast<size_t>(run.job().outputs());
  Json list = Json::array();
  for (size_t r = 0; r < first.size(); ++r) {
    const auto row = std::span(outputs).subspan(r * width, width);
    if (!a.json) {
      std::puts(run.job().prediction_text(row, a.top).c_str());
      continue;
    }
    Json entry = run.job().prediction(row, a.top);
    entry["text"] = texts.first[r];
    if (!texts.second.empty()) entry["second"] = texts.second[r];
    list.push_back(std::move(entry));
  }
  // texts of the command line need not be UTF-8
  if (a.json) std::puts(list.dump(2, ' ', false, Json::error_handler_t::replace).c_str());
  return 0;
}

}  // namespace

void add_predict_command(CLI::App& app, Action& chosen) {
  auto a = std::make_shared<PredictArguments>();
  CLI::App* command = app.add_subcommand("predict", "Labels with probabilities, or values, of texts by a text run");
  command->add_option("--run", a->run, "directory of a finished run")->required();
  CLI::Option* text = command->add_option("--text", a->texts, "a text (repeatable)")->allow_extra_args(false);
  command->add_option("--second", a->seconds, "the second text of a pair (repeatable)")->allow_extra_args(false);
  command->add_option("--data", a->data, "a table with the run's text columns: one line of answers a row")
      ->excludes(text);
  command->add_option("--format", a->format, "of --data; default: by the ending of its name")->needs("--data");
  command->add_option("--top", a->top, "labels a text")->check(CLI::Range(1, 100000))->capture_default_str();
  command->add_option("--set", a->sets, "override a config key: a.b=c (repeatable)")->allow_extra_args(false);
  command->add_option("--threads", a->threads, "compute threads; default: all cores")->check(CLI::Range(1, 1024));
  command->add_option("--device", a->device, "cpu or cuda")->capture_default_str();
  command->add_flag("--json", a->json, "print one JSON list");
  command->footer(
      "Prints a line a text: label, probability, next label, ... apart by tabs; or the value.\n"
      "Examples:\n  winnow predict --run runs/banking --text \"Where is my card?\" --top 3\n"
      "  winnow predict --run runs/banking --data questions.csv --json");
  command->callback([a, &chosen] {
    if (a->texts.empty() && a->data.empty()) throw CLI::RequiredError("--text or --data");
    chosen = [a] { return run_predict(*a); };
  });
}

}  // namespace winnow
