// winnow data generate
#include <cstdio>

#include "data/synthetic.h"
#include "train/data_commands.h"

namespace winnow {

void add_data_generate_command(CLI::App& data, Action& chosen) {
  CLI::App* command = data.add_subcommand("generate", "A small synthetic store whose best possible AUC is known");
  struct Arguments {
    std::string out;
    SyntheticStore store;
  };
  auto a = std::make_shared<Arguments>();
  command->add_option("--out", a->out, "directory")->required();
  command->add_option("--users", a->store.users)->check(CLI::Range(2, 10000000))->capture_default_str();
  command->add_option("--items", a->store.items)->check(CLI::Range(2, 10000000))->capture_default_str();
  command->add_option("--interactions", a->store.interactions)
      ->check(CLI::Range(10, 1000000000))
      ->capture_default_str();
  command->add_option("--seed", a->store.seed)->capture_default_str();
  command->footer("Example:\n  winnow data generate --out data_cache/synthetic");
  command->callback([a, &chosen] {
    chosen = [a] {
      const SyntheticReport r = write_synthetic_store(a->out, a->store);
      std::fputs(fmt::format("wrote {}: click rate {:.4f}, best possible AUC {:.4f}, logloss {:.4f}\n", a->out,
                             r.click_rate, r.best_auc, r.best_logloss)
                     .c_str(),
                 stdout);
      return 0;
    };
  });
}

}  // namespace winnow
