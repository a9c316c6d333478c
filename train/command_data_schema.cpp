// winnow data schema
#include <cstdio>

#include "core/file.h"
#include "data/infer_schema.h"
#include "train/data_commands.h"

namespace winnow {

void add_data_schema_command(CLI::App& data, Action& chosen) {
  CLI::App* command = data.add_subcommand("schema", "A first config for a table: which column is what, and why");
  struct Arguments {
    InferOptions infer;
    std::string out;
    bool json = false;
  };
  auto a = std::make_shared<Arguments>();
  command->add_option("FILE", a->infer.source.path, "table of interactions")->required();
  command->add_option("--format", a->infer.source.format, "default: by the ending of the name");
  command->add_option("--user", a->infer.user, "column of the user");
  command->add_option("--item", a->infer.item, "column of the item");
  command->add_option("--label", a->infer.label, "column of the label");
  command->add_option("--time", a->infer.time, "column of the time");
  command->add_option("--out", a->out, "write the config there instead of printing it");
  command->add_flag("--json", a->json, "what was found as JSON");
  command->footer(
      "Example:\n  winnow data schema data_cache/synthetic/impressions.csv --out config.yaml\n"
      "  winnow train ctr --config config.yaml --out runs/first");
  command->callback([a, &chosen] {
    chosen = [a] {
      const InferredSchema schema = infer_schema(a->infer);
      if (!a->out.empty()) {
        write_atomically(a->out, schema.yaml());
        std::fputs(fmt::format("wrote {}\n", a->out).c_str(), stderr);
      }
      if (a->json || a->out.empty()) std::fputs((a->json ? schema.json() : schema.yaml()).c_str(), stdout);
      return 0;
    };
  });
}

}  // namespace winnow
