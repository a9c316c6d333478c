// The oneDNN that this program runs with.
#pragma once
#include <string>

namespace winnow::cpu {

std::string onednn_version();  // "2.6.3, OpenMP"

}  // namespace winnow::cpu
