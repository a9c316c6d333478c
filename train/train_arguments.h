// The flags that every `winnow train JOB` shares, and what they do before the job begins.
#pragma once
#include <sys/types.h>

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include "train/run.h"

namespace winnow {

struct TrainArguments {
  CommonOptions common;
  std::string data, device = "cpu", out;
  std::optional<int64_t> epochs, batch_size;
  std::optional<double> learning_rate;
  std::optional<uint64_t> seed;
  int threads = 0;
  pid_t with_parent = 0;
  bool resume = false, json = false, quiet = false;

  // --config, --set, --data, --epochs, --batch-size, --lr, --seed, --threads, --device, --out, --resume, --quiet,
  // --json
  void add_to(CLI::App& command);
  // Config and overrides: flags are short names of config keys; --set, which may name the same keys, wins. A resumed
  // run takes its own config by default. more: overrides of the job's own flags.
  CommonOptions resolved(std::vector<std::string> more = {}) const;
  void prepare() const;      // threads, device; call handle_interrupts() (train/console.h) when the data is loaded
  void check_given() const;  // CLI::RequiredError when neither --config nor --resume was given
};

// The assignment for --set by which a directory takes the place of a config's encoder: its path, and of the keys in the
// config those that go with one (max_len, pooling, normalize, dropouts), not the sizes and the tokenizer of another.
std::string encoder_override(const std::string& config, const std::string& directory);
void print_message(const std::string& text);  // a line on stderr

// The end of a training command. interrupted: says that everything was saved and how to go on, and returns 1.
int report_stop(const TrainArguments& arguments, const std::string& job, const TrainResult& result);
// The evaluation on stdout: its JSON with --json, else its text, the best epoch, `next` (lines) and where the report
// is.
int report_end(const TrainArguments& arguments, const TrainResult& result, const std::string& text,
               const std::string& json, const std::string& next = "");

}  // namespace winnow
