// Speed of tokenizing the lines of a file: build/tokenizer_bench MODEL FILE [threads]. MODEL as `winnow tokenizer
// --model`.
#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "core/file.h"
#include "tokenizer/tokenizer.h"

namespace {

int run(const char* model, const char* path, int threads) {
  const auto tokenizer = winnow::load_tokenizer(model);
  const winnow::MappedFile file(path);
  std::vector<std::string_view> lines;
  for (size_t begin = 0; begin < file.size();) {
    const size_t end = std::min(file.text().find('\n', begin), file.size());
    lines.push_back(file.text().substr(begin, end - begin));
    begin = end + 1;
  }
  double best = 1e300;
  size_t ids = 0;
  for (int round = 0; round < 5; ++round) {
    const auto start = std::chrono::steady_clock::now();
    ids = winnow::encode_batch(*tokenizer, lines, {}, {.max_len = 0, .special_tokens = false}, threads).ids.size();
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  fmt::print("{} lines, {} ids, {} thread{}: {:.1f} MB/s (best of 5)\n", lines.size(), ids, threads,
             threads == 1 ? "" : "s", static_cast<double>(file.size()) / 1e6 / best);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fputs("usage: tokenizer_bench MODEL FILE [threads]\n", stderr);
    return 2;
  }
  try {
    return run(argv[1], argv[2], argc > 3 ? std::atoi(argv[3]) : 1);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "tokenizer_bench: %s\n", e.what());
    return 1;
  }
}
