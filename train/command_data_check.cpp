// winnow data check
#include <cstdio>

#include "data/leaks.h"
#include "train/data_commands.h"
#include "train/run.h"

namespace winnow {

void add_data_check_command(CLI::App& data, Action& chosen) {
  CLI::App* command = data.add_subcommand("check", "Loads the data as training would and looks for leaks");
  struct Arguments {
    CommonOptions common;
    bool json = false;
  };
  auto a = std::make_shared<Arguments>();
  command->add_option("--config", a->common.config, "YAML file")->required();
  command->add_option("--set", a->common.sets, "override a config key: a.b=c (repeatable)")->allow_extra_args(false);
  command->add_flag("--json", a->json, "print the leaks as JSON");
  command->footer(
      "Example:\n  winnow data check --config examples/ctr/synthetic.yaml\nExit codes: 0 none found; 1 leaks.");
  command->callback([a, &chosen] {
    chosen = [a] {
      const CtrConfig config(a->common);
      const Dataset dataset = load_dataset(config.schema);
      const std::vector<Leak> leaks = find_leaks(dataset, config.schema);
      if (a->json)
        std::puts(json(leaks).c_str());
      else
        std::fputs((leaks.empty() ? "no leaks found\n" : str(leaks)).c_str(), stdout);
      return leaks.empty() ? 0 : 1;
    };
  });
}

}  // namespace winnow
