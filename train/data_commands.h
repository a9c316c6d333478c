// The subcommands of `winnow data`, each in train/command_data_<name>.cpp.
#pragma once
#include "train/commands.h"

namespace winnow {

void add_data_check_command(CLI::App& data, Action& chosen);
void add_data_clean_command(CLI::App& data, Action& chosen);
void add_data_describe_command(CLI::App& data, Action& chosen);
void add_data_convert_command(CLI::App& data, Action& chosen);
void add_data_generate_command(CLI::App& data, Action& chosen);
void add_data_split_command(CLI::App& data, Action& chosen);
void add_data_schema_command(CLI::App& data, Action& chosen);

}  // namespace winnow
