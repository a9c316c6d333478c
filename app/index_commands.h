// winnow index build | search | stats: vectors of a file, searched (serve/retrieval).
#pragma once
#include "train/commands.h"

namespace winnow {

void add_index_command(CLI::App& app, Action& chosen);

}  // namespace winnow
