#include "core/cuda/emulation/source_line.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
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

// The program's functions by address, from its symbol table.
std::map<std::uintptr_t, std::string> read_functions(const char* program) {
  std::map<std::uintptr_t, std::string> functions;
  FILE* pipe = popen(fmt::format("nm -C '{}' 2>/dev/null", program).c_str(), "r");
  if (pipe == nullptr) return functions;
  char* line = nullptr;
  size_t capacity = 0;
  for (ssize_t length = 0; (length = getline(&line, &capacity, pipe)) > 0;) {
    char* name = nullptr;
    const std::uintptr_t address = std::strtoull(line, &name, 16);
    if (name == line || length - (name - line) < 4 || std::strchr("tTW", name[1]) == nullptr) continue;  // code only
    functions.emplace(address, std::string(name + 3, line + length - 1));
  }
  std::free(line);
  pclose(pipe);
  return functions;
}
}  // namespace

std::string bare_name(std::string demangled) {
  for (const std::string hidden = "(anonymous namespace)::"; demangled.find(hidden) != std::string::npos;)
    demangled.erase(demangled.find(hidden), hidden.size());
  demangled = demangled.substr(0, demangled.find_first_of("<("));
  const size_t scope = demangled.find_last_of(" :");
  return scope == std::string::npos ? demangled : demangled.substr(scope + 1);
}

std::string function_name(const void* function) {
  Dl_info info{};
  if (!dladdr(function, &info)) return "?";
  static const auto& functions = *new auto(read_functions(info.dli_fname));
  const auto at =
      functions.find(reinterpret_cast<std::uintptr_t>(function) - reinterpret_cast<std::uintptr_t>(info.dli_fbase));
  return at == functions.end() ? "?" : bare_name(at->second);
}

std::string source_line(const void* pc) {
  static auto& known = *new std::map<const void*, std::string>;
  auto [at, missing] = known.try_emplace(pc);
  if (missing) at->second = resolve(pc);
  return at->second;
}

}  // namespace winnow::emulation
