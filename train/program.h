// The program `winnow` as a call, for programs that add models and operators of their own and want all its commands.
//
//   int main(int argc, char** argv) {
//     winnow::register_model({"Ours", make_ours});
//     return winnow::run_program(argc, argv);
//   }
#pragma once
#include <functional>
#include <vector>

namespace CLI {
class App;
}

namespace winnow {

// Adds a command of its own to the command line; when it was chosen, the second is set to what runs it.
using AddCommand = void (*)(CLI::App&, std::function<int()>&);

// Runs the command that the arguments name; the exit code: 0 done, 1 an error, 2 wrong usage. Errors end as one line on
// stderr. `winnow tune` starts this very program again with `train ctr ...`.
int run_program(int argc, char** argv, const std::vector<AddCommand>& more = {});

}  // namespace winnow
