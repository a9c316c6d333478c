// The tests that every operator gets from its definition alone, as a call for programs with operators of their own:
//
//   int main(int argc, char** argv) {
//     winnow::register_operator(...);
//     return winnow::optest::run(argc, argv, {"ours", "ours_grad"});
//   }
//
// The program takes the arguments of `optest` (--help lists the modes: gradients against central differences in double,
// kernels against the double reference, bounds, threads, errors ...) and starts itself again for each mode.
#pragma once
#include <string>
#include <vector>

namespace winnow::optest {

// only: the operators to test; empty: all of the registry. 0: passed, 1: failures, 2: wrong usage.
int run(int argc, char** argv, const std::vector<std::string>& only = {});

}  // namespace winnow::optest
