// The dependency direction of docs/architecture.md, read from the #include lines of the tree.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>

namespace {

namespace fs = std::filesystem;

// part -> the parts whose headers it may include (itself always).
const std::map<std::string, std::set<std::string>> kMayInclude = {
    {"core", {}},
    {"core/cpu", {"core"}},
    {"core/cuda", {"core"}},
    {"ops", {"core", "core/cpu", "core/cuda"}},
    {"nn", {"core", "ops"}},
    {"tokenizer", {"core"}},
    {"data", {"core", "tokenizer"}},
    {"models", {"core", "ops", "nn", "data", "tokenizer"}},
    {"train", {"core", "core/cpu", "ops", "nn", "models", "data", "tokenizer"}},
    {"serve", {"core", "core/cpu", "ops", "nn", "models", "data", "tokenizer", "serve/http", "serve/store"}},
    {"serve/http", {"core"}},
    {"serve/store", {"core"}},
    {"app", {"core", "data", "models", "train", "serve", "serve/http", "serve/store"}},
};

std::string part_of(const std::string& path) {
  for (const char* inner : {"core/cpu/", "core/cuda/", "serve/http/", "serve/store/"})
    if (path.starts_with(inner)) return path.substr(0, std::string(inner).size() - 1);
  return path.substr(0, path.find('/'));
}

// Library headers that one part alone may include.
const std::map<std::string, std::string> kOnlyIn = {
    {"dnnl", "core/cpu"},  {"cuda", "core/cuda"},   {"cublas", "core/cuda"},   {"cudnn", "core/cuda"},
    {"nccl", "core/cuda"}, {"boost", "serve/http"}, {"openssl", "serve/http"}, {"hiredis", "serve/store"}};

TEST(IncludeDirections, EveryIncludeFollowsTheDependencyDirection) {
  const std::regex include(R"(^\s*#\s*include\s*[<"]([^>"]+)[>"])");
  int files = 0;
  for (const auto& [part, allowed] : kMayInclude) {
    if (!fs::exists(part)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(part)) {
      const std::string path = entry.path().generic_string(), extension = entry.path().extension().string();
      if (part_of(path) != part || (extension != ".h" && extension != ".cpp" && extension != ".cu")) continue;
      ++files;
      std::ifstream in(path);
      std::string line;
      for (int number = 1; std::getline(in, line); ++number) {
        std::smatch m;
        if (!std::regex_search(line, m, include)) continue;
        const std::string header = m[1], target = part_of(header);
        for (const auto& [library, owner] : kOnlyIn)
          if (header.starts_with(library)) {
            EXPECT_EQ(part, owner) << path << ":" << number << " includes " << header;
          }
        if (!kMayInclude.contains(target) || target == part || header.find('/') == std::string::npos) continue;
        EXPECT_TRUE(allowed.contains(target))
            << path << ":" << number << ": " << part << " must not include " << header;
      }
    }
  }
  EXPECT_GT(files, 50);
}

// Two types of one name in one namespace are one to the linker, whose choice of their inline functions fits one alone.
TEST(IncludeDirections, NoTypeIsDefinedTwice) {
  const std::regex type(R"(^(?:class|struct|enum class) ([A-Z]\w+)(?: final)?(?: :.*)? \{)");
  const std::regex space(R"(^namespace ([\w:]+) \{)");
  std::map<std::string, std::string> where;
  for (const auto& [part, allowed] : kMayInclude) {
    if (!fs::exists(part)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(part)) {
      const std::string path = entry.path().generic_string();
      if (part_of(path) != part || entry.path().extension() != ".h" || path.find("/emulation/") != std::string::npos)
        continue;
      std::ifstream in(path);
      std::string line, name_space;
      while (std::getline(in, line)) {
        std::smatch m;
        if (std::regex_search(line, m, space)) name_space = m[1];
        if (!std::regex_search(line, m, type)) continue;
        const auto [at, is_new] = where.emplace(name_space + "::" + m[1].str(), path);
        EXPECT_TRUE(is_new || at->second == path) << m[1] << " is in " << at->second << " and in " << path;
      }
    }
  }
  EXPECT_GT(where.size(), 300u);
}

}  // namespace
