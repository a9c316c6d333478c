#include "train/program.h"

#include <cstdio>
#include <new>

#include "core/error.h"
#include "train/commands.h"

namespace winnow {
namespace {

// Links select the subcommand by their name: "train_ctr ..." is "winnow train ctr ...".
std::vector<std::string> arguments(int argc, char** argv) {
  std::vector<std::string> out;
  const std::string path = argc > 0 ? argv[0] : "winnow", name = path.substr(path.find_last_of('/') + 1);
  if (name.starts_with("train_")) out = {"train", name.substr(6)};
  for (int i = 1; i < argc; ++i) out.emplace_back(argv[i]);
  return out;
}

}  // namespace

int run_program(int argc, char** argv) {
  CLI::App app("Winnow: deep learning for recommendation. `winnow COMMAND --help` shows an example that works.",
               "winnow");
  app.require_subcommand(1);
  Action chosen;
  add_train_command(app, chosen);
  add_tune_command(app, chosen);
  add_evaluate_command(app, chosen);
  add_predict_command(app, chosen);
  add_compare_command(app, chosen);
  add_recommend_command(app, chosen);
  add_match_command(app, chosen);
  add_rank_command(app, chosen);
  add_synonyms_command(app, chosen);
  add_bandit_command(app, chosen);
  add_ope_command(app, chosen);
  add_report_command(app, chosen);
  add_inspect_command(app, chosen);
  add_data_command(app, chosen);
  add_tokenizer_command(app, chosen);
  add_encode_command(app, chosen);
  add_fill_mask_command(app, chosen);
  add_doctor_command(app, chosen);
  auto words = arguments(argc, argv);
  std::reverse(words.begin(), words.end());  // CLI11 takes them from the back
  try {
    app.parse(words);
  } catch (const CLI::ParseError& e) { return app.exit(e) == 0 ? 0 : 2; }
  try {
    return chosen();
  } catch (const std::bad_alloc&) {
    std::fputs("winnow: out of memory; use a smaller batch or smaller tables\n", stderr);
  } catch (const std::exception& e) { std::fputs((std::string("winnow: ") + e.what() + "\n").c_str(), stderr); }
  return 1;
}

}  // namespace winnow
