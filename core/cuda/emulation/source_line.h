// "kernels.cu:12" of an address in the program, by addr2line; the program needs -g. Cached: a process start a miss.
#pragma once
#include <string>

namespace winnow::emulation {

std::string source_line(const void* pc);
// "softmax_rows": the kernel at an address of the program, by nm, started once.
std::string function_name(const void* function);
// The same of "void winnow::(anonymous namespace)::softmax_rows<Layout<float, 4> >(Operands)".
std::string bare_name(std::string demangled);

}  // namespace winnow::emulation
