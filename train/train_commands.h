// The jobs of `winnow train`. Each adds its subcommand; train/command_train.cpp lists them.
#pragma once
#include "train/commands.h"

namespace winnow {

void add_train_ctr(CLI::App& train, Action& chosen);
void add_train_classify(CLI::App& train, Action& chosen);
void add_train_click_text(CLI::App& train, Action& chosen);
void add_train_value_text(CLI::App& train, Action& chosen);
void add_train_match(CLI::App& train, Action& chosen);
void add_train_mlm(CLI::App& train, Action& chosen);
void add_train_rank(CLI::App& train, Action& chosen);

}  // namespace winnow
