#include "core/cuda/emulation/source_line.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <cstdio>
#include <map>

namespace winnow::emulation {

namespace {
std::string resolve(const void* pc) {
  Dl_info info{};
  if (!dladdr(pc, &info)) return "?";
  const auto offset = static_cast<const char*>(pc) - 1 - static_cast<const char*>(info.dli_fbase);
  const std::string command = fmt::format("addr2line -Cse '{}' {:#x} 2>/dev/null", info.dli_fname, offset);
  std::string line;
  if (FILE* pipe = popen(command.c_str(), "r")) {
    char text[512];
    if (std::fgets(text, sizeof text, pipe)) line = text;
    pclose(pipe);
  }
  line = line.substr(0, line.find_first_of("\n ("));  // a discriminator follows the line
  return line.empty() || line.starts_with("??") ? fmt::format("{}+{:#x}", info.dli_fname, offset) : line;
}
}  // namespace

std::string source_line(const void* pc) {
  static auto& known = *new std::map<const void*, std::string>;
  auto [at, missing] = known.try_emplace(pc);
  if (missing) at->second = resolve(pc);
  return at->second;
}

}  // namespace winnow::emulation
