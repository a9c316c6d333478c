// What a run tells about the program and the machine it ran on: nothing that names a host, a user or a path.
#pragma once
#include <string>

namespace winnow {

std::string version();          // "0.1.0"
std::string instruction_set();  // "AVX2", "AVX-512", "AVX-512 with bf16": of the kernels that this machine runs

}  // namespace winnow
