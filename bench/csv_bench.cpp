// Reading a CSV file into typed columns in memory, as bench/peers/read_csv.py does with pandas and pyarrow.
//   csv_bench --generate FILE [--megabytes 1024]    a click log of ten columns, always the same bytes
//   csv_bench FILE [--threads 2] [--repeat 3]       MB/s of each run, then the sums of the columns
#include <sys/resource.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "core/error.h"
#include "core/file.h"
#include "core/rng.h"
#include "data/typed_columns.h"

namespace winnow {
namespace {

constexpr const char* kCountries[] = {"DE", "FR", "US", "BR", "JP", "IN", "GB", "IT"};
constexpr const char* kPages[] = {"home", "search", "category", "item", "basket", "checkout"};

void generate(const std::string& path, int64_t megabytes) {
  AtomicFile file(path);
  std::string text = "event_id,timestamp,user_id,item_id,position,price,score,country,page,clicked\n";
  Rng rng(7, 0);
  const int64_t bytes = megabytes * 1000000;
  int64_t written = 0;
  for (int64_t row = 0; written < bytes; ++row) {
    text += fmt::format("{},{},{},{},{},{:.2f},{:.6f},{},{},{}\n", row, 1700000000 + row / 7, rng.below(5000000),
                        rng.below(800000), rng.below(50), static_cast<double>(rng.below(100000)) / 100, rng.uniform(),
                        kCountries[rng.below(8)], kPages[rng.below(6)], rng.below(20) == 0 ? 1 : 0);
    if (text.size() < (1u << 20)) continue;
    written += static_cast<int64_t>(text.size());
    file.write(text);
    text.clear();
  }
  file.write(text);
  file.commit();
}

double cpu_seconds() {
  struct rusage usage {};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

// The sum of a column; of texts the sum of their lengths, of categories of their texts' lengths.
double sum_of(const TypedColumn& column) {
  double sum = 0;
  for (const int64_t x : column.ints) sum += x == kMissingInt ? 0 : static_cast<double>(x);
  for (const double x : column.floats) sum += std::isnan(x) ? 0 : x;
  return sum + static_cast<double>(column.bytes.size());
}

int run(const std::string& path, int threads, int repeat) {
  for (int i = 0; i < repeat; ++i) {
    const double cpu_begun = cpu_seconds();
    const auto begun = std::chrono::steady_clock::now();
    TypedReader reader({.path = path, .threads = threads});
    std::vector<TypedBlock> blocks(1);
    while (reader.next(blocks.back())) blocks.emplace_back();
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
    const double cpu = cpu_seconds() - cpu_begun;
    const MappedFile file(path);
    int64_t rows = 0;
    std::vector<double> sums(reader.columns().size());
    for (const TypedBlock& block : blocks) {
      rows += block.rows;
      for (size_t c = 0; c < block.columns.size(); ++c) sums[c] += sum_of(block.columns[c]);
    }
    std::printf("winnow   %8.1f MB/s  %6.3f s  %6.3f CPU s  %lld rows\n",
                static_cast<double>(file.size()) / 1e6 / seconds, seconds, cpu, static_cast<long long>(rows));
    if (i + 1 < repeat) continue;
    for (size_t c = 0; c < sums.size(); ++c)
      std::printf("sum %s %s %.6g\n", reader.columns()[c].c_str(), name_of(reader.types()[c]), sums[c]);
  }
  return 0;
}

int main_of(const std::vector<std::string>& words) {
  const auto option = [&](std::string_view name, const char* fallback) {
    for (size_t i = 0; i + 1 < words.size(); ++i)
      if (words[i] == name) return words[i + 1];
    return std::string(fallback);
  };
  if (const std::string path = option("--generate", ""); !path.empty())
    return generate(path, std::atoll(option("--megabytes", "1024").c_str())), 0;
  if (words.empty()) return std::fputs("usage: csv_bench FILE [--threads 2] [--repeat 3]\n", stderr), 2;
  return run(words[0], std::atoi(option("--threads", "2").c_str()), std::atoi(option("--repeat", "3").c_str()));
}

}  // namespace
}  // namespace winnow

int main(int argc, char** argv) {
  try {
    return winnow::main_of({argv + 1, argv + argc});
  } catch (const winnow::Error& e) {
    std::fprintf(stderr, "csv_bench: %s\n", e.what());
    return 1;
  }
}
