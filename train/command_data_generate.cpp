// winnow data generate
#include <cstdio>

#include "core/parallel.h"
#include "data/synthetic.h"
#include "train/data_commands.h"

namespace winnow {

void add_data_generate_command(CLI::App& data, Action& chosen) {
  CLI::App* command = data.add_subcommand(
      "generate", "A synthetic store of any size whose true click and purchase probabilities are known");
  struct Arguments {
    std::string out;
    SyntheticStore store;
    int threads = 0;
    bool json = false;
  };
  auto a = std::make_shared<Arguments>();
  command->add_option("--out", a->out, "directory")->required();
  command->add_option("--users", a->store.users)->check(CLI::Range(2, INT32_MAX))->capture_default_str();
  command->add_option("--items", a->store.items)->check(CLI::Range(2, INT32_MAX))->capture_default_str();
  command->add_option("--impressions", a->store.impressions, "rows of the log; 70 million are 5 GB")
      ->check(CLI::Range(int64_t{10}, int64_t{100000000000}))
      ->capture_default_str();
  command->add_option("--seed", a->store.seed)->capture_default_str();
  command->add_option("--format", a->store.format, "of the tables: csv, csv.gz, csv.zst")
      ->check(CLI::IsMember({"csv", "csv.gz", "csv.zst"}))
      ->capture_default_str();
  command->add_option("--missing", a->store.missing, "share of missing cells in age, gender, city, interests")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  command->add_option("--pictures", a->store.pictures, "at most so many pictures; 0: none")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command->add_flag(
      "--dirty", a->store.dirty,
      "adds duplicates, cancelled orders, bots, impossible values, markup and full-width text, and counts "
      "them in truth.json");
  command->add_option("--threads", a->threads, "0: all; the files are the same for any number")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  command->add_flag("--json", a->json, "print JSON");
  command->footer(
      "Examples:\n  winnow data generate --out data_cache/synthetic\n"
      "  winnow data generate --out data_cache/store_1m --users 2500 --items 1000 --impressions 1000000");
  command->callback([a, &chosen] {
    chosen = [a] {
      if (a->threads > 0) set_num_threads(a->threads);
      const SyntheticReport r = write_synthetic_store(a->out, a->store);
      std::fputs(
          (a->json ? r.json() + "\n" : fmt::format("wrote {} in {:.1f} s\n{}", a->out, r.seconds, r.str())).c_str(),
          stdout);
      return 0;
    };
  });
}

}  // namespace winnow
