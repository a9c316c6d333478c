// The subcommands of `winnow`. Each adds itself to the command line; main() runs the one that was chosen.
#pragma once
#include <CLI/CLI.hpp>
#include <functional>

namespace winnow {

using Action = std::function<int()>;  // the exit code

void add_train_command(CLI::App& app, Action& chosen);
void add_evaluate_command(CLI::App& app, Action& chosen);
void add_predict_command(CLI::App& app, Action& chosen);
void add_compare_command(CLI::App& app, Action& chosen);
void add_recommend_command(CLI::App& app, Action& chosen);
void add_rank_command(CLI::App& app, Action& chosen);
void add_synonyms_command(CLI::App& app, Action& chosen);
void add_match_command(CLI::App& app, Action& chosen);
void add_report_command(CLI::App& app, Action& chosen);
void add_inspect_command(CLI::App& app, Action& chosen);
void add_doctor_command(CLI::App& app, Action& chosen);
void add_tune_command(CLI::App& app, Action& chosen);
void add_bandit_command(CLI::App& app, Action& chosen);
void add_ope_command(CLI::App& app, Action& chosen);
void add_data_command(CLI::App& app, Action& chosen);
void add_tokenizer_command(CLI::App& app, Action& chosen);
void add_encode_command(CLI::App& app, Action& chosen);
void add_fill_mask_command(CLI::App& app, Action& chosen);

}  // namespace winnow
