// "kernels.cu:12" of an address in the program, by addr2line; the program needs -g. Cached: a process start a miss.
#pragma once
#include <string>

namespace winnow::emulation {

std::string source_line(const void* pc);

}  // namespace winnow::emulation
