// The commands of `winnow` that need serve.
#pragma once
#include "train/commands.h"

namespace winnow {

void add_index_command(CLI::App& app, Action& chosen);       // vectors of a file, searched (serve/retrieval)
void add_bandit_command(CLI::App& app, Action& chosen);      // policies on simulated arms (serve/bandits)
void add_ope_command(CLI::App& app, Action& chosen);         // the worth of a policy from another's log
void add_candidates_command(CLI::App& app, Action& chosen);  // sources of recommendation, measured (serve/recommend)
void add_update_command(CLI::App& app, Action& chosen);  // a run that learns from events (train/update, serve/delta)
void add_serve_command(CLI::App& app, Action& chosen);   // runs answering over HTTP (serve/api)
void add_verify_command(CLI::App& app, Action& chosen);  // the evaluation's bits, however a run is asked
void add_events_command(CLI::App& app, Action& chosen);  // the log of what users did (serve/store)

}  // namespace winnow
