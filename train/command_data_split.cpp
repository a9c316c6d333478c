// winnow data split
#include <cstdio>

#include "data/split_files.h"
#include "train/data_commands.h"
#include "train/run.h"

namespace winnow {

void add_data_split_command(CLI::App& data, Action& chosen) {
  CLI::App* command = data.add_subcommand("split", "Writes the training, validation and test rows into files");
  struct Arguments {
    CommonOptions common;
    std::string out, format = "csv";
    bool json = false;
  };
  auto a = std::make_shared<Arguments>();
  command->add_option("--config", a->common.config, "YAML file with a data section")->required();
  command->add_option("--set", a->common.sets, "override a config key: a.b=c (repeatable)")->allow_extra_args(false);
  command->add_option("--out", a->out, "directory of the files")->required();
  command->add_option("--format", a->format, "ending of their names: csv, csv.gz, tsv, jsonl, ..")
      ->capture_default_str();
  command->add_flag("--json", a->json, "print the counts as JSON");
  command->footer(
      "Example:\n  winnow data split --config examples/ctr/synthetic.yaml --set 'data.split={method: leave_last_out}' "
      "--out splits");
  command->callback([a, &chosen] {
    chosen = [a] {
      const CtrConfig config(a->common);
      const SplitFiles files = write_split_files(config.schema, a->out, a->format);
      std::fputs((a->json ? files.json() + "\n" : files.str()).c_str(), stdout);
      return 0;
    };
  });
}

}  // namespace winnow
