// winnow data: what a team does to its files before and around training.
#include "train/commands.h"
#include "train/data_commands.h"

namespace winnow {

void add_data_command(CLI::App& app, Action& chosen) {
  CLI::App* data = app.add_subcommand("data", "Look at, clean, split and make data; `winnow data COMMAND --help`");
  data->require_subcommand(1);
  add_data_check_command(*data, chosen);
  add_data_clean_command(*data, chosen);
  add_data_describe_command(*data, chosen);
  add_data_convert_command(*data, chosen);
  add_data_generate_command(*data, chosen);
  add_data_split_command(*data, chosen);
  add_data_schema_command(*data, chosen);
}

}  // namespace winnow
