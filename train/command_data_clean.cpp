// winnow data clean
#include <cstdio>

#include "core/error.h"
#include "data/clean.h"
#include "data/row_writer.h"
#include "train/data_commands.h"
#include "train/run.h"

namespace winnow {
namespace {

std::string examples(const CleanReport& report) {
  std::string text;
  for (const CleanReport::Step& s : report.steps) {
    if (s.examples.empty()) continue;
    text += fmt::format("\n{}{}{} ({})\n", s.step, s.column.empty() ? "" : " ", s.column, s.what);
    for (const CleanReport::Example& e : s.examples) text += fmt::format("  {}: {}\n", e.where, e.text);
  }
  return text;
}

int run_clean(const CommonOptions& common, const std::string& out, bool json) {
  const CtrConfig config(common);
  const auto report = std::make_shared<CleanReport>();
  const auto reader =
      clean_rows([&] { return open_rows(config.schema.interactions.source); }, config.schema.clean, report);
  const auto writer = out.empty() ? nullptr : make_row_writer({.path = out}, reader->columns());
  for (RowBlock block; reader->next(block);)
    if (writer) writer->write(block);
  if (writer) writer->commit();
  if (json)
    std::puts(report->json().c_str());
  else
    std::fputs((report->str() + examples(*report)).c_str(), stdout);
  if (writer) std::fputs(fmt::format("wrote {} rows to {}\n", report->kept, out).c_str(), stderr);
  return 0;
}

}  // namespace

void add_data_clean_command(CLI::App& data, Action& chosen) {
  CLI::App* command = data.add_subcommand("clean", "What the steps of data.clean drop and change; writes what is left");
  struct Arguments {
    CommonOptions common;
    std::string out;
    bool json = false;
  };
  auto a = std::make_shared<Arguments>();
  command->add_option("--config", a->common.config, "YAML file")->required();
  command->add_option("--set", a->common.sets, "override a config key: a.b=c (repeatable)")->allow_extra_args(false);
  command->add_option(
      "--out", a->out,
      "write the cleaned interactions, in the format of the ending: .csv, .tsv, .jsonl, also .gz or .zst; .sqlite");
  command->add_flag("--json", a->json, "print the report as JSON");
  command->footer(
      "Example:\n  winnow data clean --config examples/ctr/online_retail.yaml --out "
      "data_cache/online_retail/clean.csv.zst");
  command->callback([a, &chosen] { chosen = [a] { return run_clean(a->common, a->out, a->json); }; });
}

}  // namespace winnow
