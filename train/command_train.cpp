// winnow train JOB
#include "train/train_commands.h"

namespace winnow {

void add_train_command(CLI::App& app, Action& chosen) {
  CLI::App* train = app.add_subcommand("train", "Train a model; `winnow train JOB --help`");
  train->require_subcommand(1);
  add_train_ctr(*train, chosen);
  add_train_classify(*train, chosen);
  add_train_click_text(*train, chosen);
  add_train_value_text(*train, chosen);
  add_train_match(*train, chosen);
  add_train_mlm(*train, chosen);
  add_train_rank(*train, chosen);
}

}  // namespace winnow
